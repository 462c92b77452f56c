package command_test

import (
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestDoctorTellsWhatWasSetAside: what Postgres refused to store is counted and explained, and stops nothing.
func TestDoctorTellsWhatWasSetAside(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	a := newAccount(t, url, startResolver(t))
	a.setUp(t, "--queue=events")
	environment := append(a.environment, "AWS_ENDPOINT_URL=http://127.0.0.1:1") // it stops at the step that follows
	if printed := diagnose(t, environment, 1); !strings.Contains(printed, "set aside          nothing") || !strings.Contains(printed, "bodies are kept since") {
		t.Errorf("the doctor says:\n%s", printed)
	}
	_, err := storetest.Open(t, url).Pool().Exec(t.Context(), `INSERT INTO set_aside_results
		VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'sent', 'id', '', 'refused', now())`)
	if err != nil {
		t.Fatal(err)
	}
	if printed := diagnose(t, environment, 1); !strings.Contains(printed, "0 SES events and 1 results of sending") || !strings.Contains(printed, "warning: Postgres refused") {
		t.Errorf("the doctor says:\n%s", printed)
	}
}
