package sessim_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

// A send through a tenant needs every resource that it names to be associated, and a tenant that may send.
func TestTenants(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	ctx, organization := t.Context(), uuid.New()
	name := ses.TenantName(organization)
	send := func() error {
		m := message()
		m.Tenant = name
		_, err := r.client.Send(ctx, m)
		return err
	}
	refused := func(why string, err error, class ses.Class) {
		t.Helper()
		if ses.ClassOf(err) != class {
			t.Errorf("%s: %v of class %q, want %q", why, err, ses.ClassOf(err), class)
		}
	}
	refused("no such tenant", send(), ses.Misconfigured)
	made, err := r.client.EnsureTenant(ctx, name)
	must(t, err)
	again, err := r.client.EnsureTenant(ctx, name)
	must(t, err)
	if made != again || made.Name != name || !strings.HasPrefix(made.ARN, "arn:aws:ses:us-east-1:") || made.Disabled {
		t.Errorf("made %+v, and then %+v", made, again)
	}
	refused("nothing associated", send(), ses.Misconfigured)
	must(t, r.client.AssociateIdentity(ctx, made, "mail.test"))
	refused("no configuration set", send(), ses.Misconfigured)
	must(t, r.client.AssociateConfigurationSet(ctx, made))
	must(t, r.client.AssociateConfigurationSet(ctx, made))
	must(t, send())
	if got := r.Messages()[0].Tenant; got != name {
		t.Errorf("sent through %q", got)
	}
	if err := r.client.AssociateIdentity(ctx, made, "absent.test"); ses.ClassOf(err) != ses.NotFound {
		t.Errorf("an identity that does not exist is associated: %v", err)
	}
	must(t, r.DisableTenant(name, true))
	refused("a disabled tenant", send(), ses.Paused)
	listed, err := r.client.ListTenants(ctx)
	must(t, err)
	if id, ours := listed[0].Organization(); len(listed) != 1 || !listed[0].Disabled || !ours || id != organization {
		t.Errorf("listed %+v", listed)
	}
	must(t, r.DisableTenant(name, false))
	must(t, send())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
