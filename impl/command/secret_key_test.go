package command_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/impl/webhook"
)

// TestRotateSecretKey: the command says when the old key can go, and fails while a key is missing.
func TestRotateSecretKey(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	s := storetest.Open(t, url)
	keys := [2][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}
	var texts [2]string
	for i, key := range keys {
		texts[i] = base64.StdEncoding.EncodeToString(key)
	}
	var owner organization
	succeed(t, &owner, "org", "create", "Acme", "--json", "--database-url="+url)
	id := uuid.New()
	before, err := sealed.NewSealer(bytes.NewReader(make([]byte, 12)), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	secret, err := before.Seal([]byte("signs"), webhook.SecretAAD(id))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Pool().Exec(t.Context(), `INSERT INTO webhooks (id, organization_id, url, events, enabled, sealed_secret, created_at, updated_at)
		VALUES ($1, $2, 'https://a.example', '{}', true, $3, now(), now())`, id, owner.ID, secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		keys string
		code int
		says string
	}{
		{texts[1], 1, "none of the keys"},
		{texts[1] + "," + texts[0], 0, "1 of them encrypted anew"},
		{texts[1] + "," + texts[0], 0, "can be removed"},
		{texts[1], 0, "can be removed"},
		{"", 2, "MAILSTACK_SECRET_KEY"},
	} {
		stdout, stderr, code := execute(t, "secret-key", "rotate", "--database-url="+url, "--secret-key="+step.keys)
		if code != step.code || !strings.Contains(stdout+stderr, step.says) || strings.Contains(stdout+stderr, texts[1]) {
			t.Errorf("exit code %d, want %d and %q: %s%s", code, step.code, step.says, stdout, stderr)
		}
	}
}
