package command_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestTenantsAreSwitchedOnAndOff: while tenants are on, mail goes through the tenant of its organization, and the doctor tells
// which of them SES has disabled. The printed policy allows every call.
func TestTenantsAreSwitchedOnAndOff(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	setup := launch(t, p.environment, "ses", "setup", "--queue=events")
	setup.exits(0)
	for line := range strings.Lines(exports(setup.stdout.String())) {
		p.environment = append(p.environment, strings.TrimSpace(strings.TrimPrefix(line, "export ")))
	}
	setupCalls := p.simulator.Calls()
	serving, c := p.serve(t)
	p.verify(t, c, "acme.example")
	var organization uuid.UUID
	err := storetest.Open(t, p.database).Pool().QueryRow(t.Context(), "SELECT id FROM organizations").Scan(&organization)
	if err != nil {
		t.Fatal(err)
	}
	tenant := ses.TenantName(organization)
	command := func(name, says string) {
		t.Helper()
		run := launch(t, p.environment, "ses", "tenants", name)
		run.exits(0)
		if printed := run.stdout.String(); !strings.Contains(printed, says) {
			t.Errorf("ses tenants %s says %q, want %q", name, printed, says)
		}
	}
	sentThrough := func(want string) {
		t.Helper()
		before := len(p.simulator.Messages())
		if status := c.do(t, http.MethodPost, "/v1/emails", `{"from":"hello@acme.example","to":"a@example.com","subject":"Hi","text":"There."}`, nil); status != http.StatusAccepted {
			t.Fatalf("send: %d", status)
		}
		eventually(t, "the message is at SES", func() bool { return len(p.simulator.Messages()) > before })
		if got := p.simulator.Messages()[0].Tenant; got != want {
			t.Errorf("sent through %q, want %q", got, want)
		}
	}
	sentThrough("")
	command("on", "tenants are on: 1 organizations have one, 0 of them disabled by SES")
	command("on", "tenants are on: 1 organizations have one, 0 of them disabled by SES")
	sentThrough(tenant)
	if printed := diagnose(t, p.environment, 0); !strings.Contains(printed, "on: 1 organizations have one") {
		t.Errorf("the doctor says:\n%s", printed)
	}
	if err := p.simulator.DisableTenant(tenant, true); err != nil {
		t.Fatal(err)
	}
	if printed := diagnose(t, p.environment, 0); !strings.Contains(printed, "warning: SES has disabled 1 of them, whose mail waits") {
		t.Errorf("the doctor says:\n%s", printed)
	}
	if err := p.simulator.DisableTenant(tenant, false); err != nil {
		t.Fatal(err)
	}
	command("off", "tenants are off: 1 organizations have one")
	sentThrough("")
	serving.stops()
	permitted(t, slices.DeleteFunc(p.simulator.Calls(), func(call string) bool {
		return slices.Contains(setupCalls, call) && slices.Contains(printedPolicy(t, "--setup"), call)
	}), printedPolicy(t))
}
