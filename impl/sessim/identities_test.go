package sessim_test

import (
	"errors"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

func TestIdentityVerifiesByItsRecords(t *testing.T) {
	t.Parallel()
	z := newZone()
	r := start(t, sessim.Config{Resolver: z})
	ctx := t.Context()

	created, isNew, err := r.client.CreateIdentity(ctx, "Acme.Test")
	if err != nil || !isNew {
		t.Fatal(isNew, err)
	}
	if created.VerifiedForSending || created.DKIMVerified || len(created.DKIMTokens) != 3 {
		t.Errorf("created %+v", created)
	}
	for _, token := range created.DKIMTokens {
		if !regexp.MustCompile(`^[a-z2-7]{32}$`).MatchString(token) {
			t.Errorf("token %q", token)
		}
	}
	again, isNew, err := r.client.CreateIdentity(ctx, "acme.test")
	if err != nil || isNew || again.DKIMTokens[0] != created.DKIMTokens[0] {
		t.Error("created a second time:", again, isNew, err)
	}

	z.publishDKIM("acme.test", created.DKIMTokens[:2])
	if i, err := r.client.GetIdentity(ctx, "acme.test"); err != nil || i.DKIMVerified || i.VerifiedForSending {
		t.Error("two of three records verify:", i, err)
	}
	z.publishDKIM("acme.test", created.DKIMTokens)
	if i, err := r.client.GetIdentity(ctx, "acme.test"); err != nil || !i.DKIMVerified || !i.VerifiedForSending {
		t.Error("three records do not verify:", i, err)
	}

	if err := r.client.DeleteIdentity(ctx, "acme.test"); err != nil {
		t.Error(err)
	}
	if err := r.client.DeleteIdentity(ctx, "acme.test"); err != nil {
		t.Error("deleted twice:", err)
	}
	_, err = r.client.GetIdentity(ctx, "acme.test")
	wantClass(t, err, ses.NotFound)
	if !errors.Is(err, ses.ErrNotFound) {
		t.Error(err)
	}
}

func TestMailFromVerifiesByItsRecords(t *testing.T) {
	t.Parallel()
	z := newZone()
	r := start(t, sessim.Config{Resolver: z})
	ctx := t.Context()
	if _, _, err := r.client.CreateIdentity(ctx, "acme.test"); err != nil {
		t.Fatal(err)
	}
	status := func(want string) {
		t.Helper()
		i, err := r.client.GetIdentity(ctx, "acme.test")
		if err != nil || i.MailFromDomain != "mail.acme.test" || i.MailFromStatus != want {
			t.Errorf("%+v, want %s: %v", i, want, err)
		}
	}
	if err := r.client.SetMailFrom(ctx, "acme.test", "mail.acme.test"); err != nil {
		t.Fatal(err)
	}
	status("PENDING")
	z.change(func() {
		z.mx["mail.acme.test"] = []dns.MX{{Preference: 10, Host: "feedback-smtp.us-east-1.amazonses.com"}}
	})
	status("PENDING")
	z.change(func() { z.txt["mail.acme.test"] = []string{"v=spf1 include:amazonses.com ~all"} })
	status("SUCCESS")

	wantClass(t, r.client.SetMailFrom(ctx, "acme.test", "mail.other.test"), ses.Rejected)
	wantClass(t, r.client.SetMailFrom(ctx, "acme.test", "acme.test"), ses.Rejected)
	wantClass(t, r.client.SetMailFrom(ctx, "unknown.test", "mail.unknown.test"), ses.NotFound)
}

func TestVerifiedIdentitySurvivesLossForAWhile(t *testing.T) {
	t.Parallel()
	z, c := newZone(), newClock()
	r := start(t, sessim.Config{Resolver: z, Now: c.Now})
	i, _, err := r.client.CreateIdentity(t.Context(), "acme.test")
	if err != nil {
		t.Fatal(err)
	}
	verified := func(want bool) {
		t.Helper()
		got, err := r.client.GetIdentity(t.Context(), "acme.test")
		if err != nil || got.VerifiedForSending != want {
			t.Errorf("verified %v, want %v: %v", got.VerifiedForSending, want, err)
		}
	}
	z.publishDKIM("acme.test", i.DKIMTokens)
	verified(true)
	asked := z.asked
	verified(true)
	if z.asked != asked {
		t.Error("a verified identity was looked up again at once")
	}
	z.change(func() { clear(z.cname) })
	c.advance(71 * time.Hour)
	verified(true)
	z.change(func() { z.err = errors.New("servfail") })
	c.advance(2 * time.Hour)
	verified(true)
	z.change(func() { z.err = nil })
	verified(false)
}

func TestIdentityThatNeverVerifiesFails(t *testing.T) {
	t.Parallel()
	c, z := newClock(), newZone()
	r := start(t, sessim.Config{Resolver: z, Now: c.Now})
	created, _, err := r.client.CreateIdentity(t.Context(), "acme.test")
	if err != nil {
		t.Fatal(err)
	}
	c.advance(73 * time.Hour)
	_, _, answer := r.call(t, http.MethodGet, "/v2/email/identities/acme.test", "")
	if answer["VerificationStatus"] != "FAILED" {
		t.Error(answer)
	}
	z.publishDKIM("acme.test", created.DKIMTokens)
	if late, err := r.client.GetIdentity(t.Context(), "acme.test"); err != nil || !late.DKIMFailed || late.VerifiedForSending {
		t.Errorf("records that came too late: %+v, %v", late, err)
	}
	if err := r.client.RestartDKIM(t.Context(), "acme.test"); err != nil {
		t.Fatal(err)
	}
	if again, err := r.client.GetIdentity(t.Context(), "acme.test"); err != nil || again.DKIMFailed || !again.VerifiedForSending {
		t.Errorf("restarted: %+v, %v", again, err)
	}
	wantClass(t, r.client.RestartDKIM(t.Context(), "absent.test"), ses.NotFound)
}

func TestListIdentitiesInPages(t *testing.T) {
	t.Parallel()
	r := start(t, sessim.Config{})
	for _, name := range []string{"b.test", "a.test", "c.test"} {
		if _, _, err := r.client.CreateIdentity(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	_, _, first := r.call(t, http.MethodPost, "/v2/email/list-identities", `{"PageSize":2}`)
	list := first["EmailIdentities"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["IdentityName"] != "a.test" {
		t.Error(first)
	}
	_, _, second := r.call(t, http.MethodPost, "/v2/email/list-identities", `{"PageSize":2,"NextToken":"`+first["NextToken"].(string)+`"}`)
	list = second["EmailIdentities"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["IdentityName"] != "c.test" || second["NextToken"] != nil {
		t.Error(second)
	}
	status, header, _ := r.call(t, http.MethodPost, "/v2/email/list-identities", `{"NextToken":"!"}`)
	if status != 400 || header.Get("X-Amzn-ErrorType") != "BadRequestException" {
		t.Error(status, header)
	}
}

func TestIdentityNamesAreChecked(t *testing.T) {
	t.Parallel()
	r := start(t, sessim.Config{})
	for _, name := range []string{"test", "a..test", "-a.test", "a b.test", "ä.test", "1.2.3.4", "@a.test", "x y@a.test"} {
		_, _, err := r.client.CreateIdentity(t.Context(), name)
		if ses.ClassOf(err) != ses.Rejected {
			t.Errorf("%q: %v", name, err)
		}
	}
}
