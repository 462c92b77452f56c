package worker_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/tenancy"
	"github.com/voostack/mailstack/impl/worker"
)

// withTenants returns the service of tenants, which the worker uses from now on.
func (h *house) withTenants(t *testing.T) *tenancy.Service {
	t.Helper()
	service := &tenancy.Service{Store: h.store, SES: h.client, Now: h.clock.Now, Log: slog.New(slog.NewTextHandler(h.log, nil))}
	h.worker = h.newWorker(t, func(c *worker.Config) { c.Tenants = service })
	return service
}

// sentThrough returns the tenant of the latest message at SES.
func (h *house) sentThrough() string { return h.ses.Messages()[0].Tenant }

// Mail is sent through the tenant of its organization while tenants are on, once its domain is associated.
func TestMailIsSentThroughTenants(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tenants := h.withTenants(t)
	o := h.tenant(t)
	send := func(want string) {
		t.Helper()
		id := h.accept(t, o, 1)[0]
		h.pass(t, 1)
		h.requireSent(t, o, id)
		if got := h.sentThrough(); got != want {
			t.Errorf("sent through %q, want %q", got, want)
		}
	}
	send("")
	must(t, tenants.SwitchOn(t.Context()))
	must(t, tenants.SwitchOn(t.Context()))
	send(ses.TenantName(o.id))
	o = h.tenant(t) // a new organization
	send("")
	must(t, tenants.Sync(t.Context()))
	send(ses.TenantName(o.id))
	must(t, tenants.SwitchOff(t.Context()))
	send("")
	must(t, tenants.Sync(t.Context()))
	send("")
}

// SES disables the tenant of one organization: its mail waits and another's is sent.
func TestADisabledTenantWaits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tenants := h.withTenants(t)
	stopped, other := h.tenant(t), h.tenant(t)
	must(t, tenants.SwitchOn(t.Context()))
	must(t, h.ses.DisableTenant(ses.TenantName(stopped.id), true))
	// Before the state is read, the refusal of a message stops nothing else.
	waiting := h.accept(t, stopped, 1)[0]
	h.pass(t, 1)
	if row := h.row(t, waiting); row == nil {
		t.Fatal("the message that waits is gone")
	}
	sent := h.accept(t, other, 1)[0]
	h.pass(t, 1)
	h.requireSent(t, other, sent)

	must(t, tenants.Sync(t.Context()))
	h.clock.advance(10 * time.Minute)
	h.pass(t, 0)
	must(t, h.ses.DisableTenant(ses.TenantName(stopped.id), false))
	must(t, tenants.Sync(t.Context()))
	h.pass(t, 1)
	h.requireSent(t, stopped, waiting)
}

// SES lost the associations, as when an identity was made anew: mail goes on, and they are made again.
func TestAssociationsAreMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tenants := h.withTenants(t)
	o := h.tenant(t)
	must(t, tenants.SwitchOn(t.Context()))
	must(t, h.ses.DissociateTenant(ses.TenantName(o.id)))
	refused := h.accept(t, o, 1)[0]
	h.pass(t, 1)
	if row := h.row(t, refused); row == nil {
		t.Fatal("the message that was refused is gone")
	}
	h.clock.advance(10 * time.Minute)
	h.pass(t, 1)
	h.requireSent(t, o, refused)
	if got := h.sentThrough(); got != "" {
		t.Errorf("sent through %q", got)
	}
	must(t, tenants.Sync(t.Context()))
	again := h.accept(t, o, 1)[0]
	h.pass(t, 1)
	h.requireSent(t, o, again)
	if got := h.sentThrough(); got != ses.TenantName(o.id) {
		t.Errorf("sent through %q", got)
	}
}
