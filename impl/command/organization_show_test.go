package command_test

import (
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// An operator sees the rates for which sending was paused, and resumes it.
func TestShowingAndResumingAPausedOrganization(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	queries := storetest.Open(t, url).Queries()
	database := "--database-url=" + url
	var acme organization
	succeed(t, &acme, "org", "create", "Acme", "--json", database)
	for _, err := range []error{
		queries.ReputationSave(t.Context(), db.ReputationSaveParams{
			OrganizationID: acme.ID, Now: time.Now(), Domains: []string{"", "acme.test"}, Recipients: []int64{400, 200}, Bounced: []int64{40, 40},
			Complained: []int64{0, 1}, Warned: []bool{true, true}, Paused: []bool{true, false},
		}),
		queries.OrganizationPauseSending(t.Context(), db.OrganizationPauseSendingParams{ID: acme.ID, Now: time.Now()}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	type shown struct {
		SendingPausedAt *time.Time `json:"sendingPausedAt"`
		Reputation      []struct {
			Domain   *string    `json:"domain"`
			PausedAt *time.Time `json:"pausedAt"`
		} `json:"reputation"`
	}
	var before, after shown
	succeed(t, &before, "org", "show", "Acme", "--json", database)
	if before.SendingPausedAt == nil || len(before.Reputation) != 2 || before.Reputation[0].PausedAt == nil || before.Reputation[1].Domain == nil {
		t.Errorf("shown %+v", before)
	}
	if stdout, _, code := execute(t, "org", "show", "Acme", database); code != 0 || !strings.Contains(stdout, "40 (10.00%)") {
		t.Errorf("the table: exit code %d: %s", code, stdout)
	}
	succeed(t, nil, "org", "resume", "Acme", database)
	succeed(t, &after, "org", "show", "Acme", "--json", database)
	if after.SendingPausedAt != nil || after.Reputation[0].PausedAt != nil {
		t.Errorf("after resuming shown %+v", after)
	}
}
