package sessim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

func TestSendIsKeptAsItWasSent(t *testing.T) {
	t.Parallel()
	var hooked []string
	r := ready(t, sessim.Config{OnSend: func(a sessim.Accepted) { hooked = append(hooked, a.ProviderID) }})
	m := message()
	m.To = []string{"ada@example.com", `"Bob, B." <bob@example.com>`, "Jörg <j@example.com>"}
	m.Cc, m.Bcc, m.ReplyTo = []string{"cc@example.com"}, []string{"bcc@example.com"}, []string{"Reply <r@example.com>"}
	m.Tags = []string{"welcome", "v1.2"}
	id, err := r.client.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^0100[0-9a-f]{12}-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-000000$`).MatchString(id) {
		t.Error("id", id)
	}
	got, ok := r.Message(id)
	if !ok || len(hooked) != 1 || hooked[0] != id {
		t.Fatal("not kept, or not told:", ok, hooked)
	}
	wantTo := []string{"ada@example.com", `"Bob, B." <bob@example.com>`, "=?utf-8?q?J=C3=B6rg?= <j@example.com>"}
	if got.From != "=?utf-8?b?SsO2cmcgJiBTw7ZobmU=?= <hello@mail.test>" || !slices.Equal(got.To, wantTo) ||
		!slices.Equal(got.Cc, m.Cc) || !slices.Equal(got.Bcc, m.Bcc) || !slices.Equal(got.ReplyTo, m.ReplyTo) {
		t.Errorf("addresses %+v", got)
	}
	if got.Subject != m.Subject || got.HTML != m.HTML || got.Text != m.Text || got.ConfigurationSet != set {
		t.Errorf("content %+v", got)
	}
	if got.MessageID != m.ID.String() || len(got.Tags) != 1 {
		t.Errorf("tags %+v", got.Tags)
	}
	if s := r.Stats(); s.Accepted != 1 || s.Recipients != 5 || s.Distinct != 1 || s.Duplicates != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhoMaySend(t *testing.T) {
	t.Parallel()
	z := newZone()
	r := start(t, sessim.Config{Resolver: z})
	if err := r.client.EnsureConfigurationSet(t.Context()); err != nil {
		t.Fatal(err)
	}
	i, _, err := r.client.CreateIdentity(t.Context(), "acme.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.client.CreateIdentity(t.Context(), "one@single.test"); err != nil {
		t.Fatal(err)
	}
	send := func(from string) error {
		m := message()
		m.From = from
		_, err := r.client.Send(t.Context(), m)
		return err
	}
	err = send("a@acme.test")
	wantClass(t, err, ses.DomainNotReady)
	if want := "Email address is not verified. The following identities failed the check in region US-EAST-1: a@acme.test"; !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
	z.publishDKIM("acme.test", i.DKIMTokens)
	for from, want := range map[string]ses.Class{
		"a@acme.test":         "",
		"a@ACME.test":         "",
		"a@deep.in.acme.test": "",
		"a@notacme.test":      ses.DomainNotReady,
		"a@test.test":         ses.DomainNotReady,
		"one@single.test":     "",
		"two@single.test":     ses.DomainNotReady,
	} {
		if got := ses.ClassOf(send(from)); got != want {
			t.Errorf("from %s: %q, want %q", from, got, want)
		}
	}
}

func TestSandboxWantsVerifiedRecipients(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	no := false
	if err := r.SetAccount(sessim.AccountChange{ProductionAccess: &no}); err != nil {
		t.Fatal(err)
	}
	_, err := r.client.Send(t.Context(), message())
	wantClass(t, err, ses.DomainNotReady)
	for _, to := range []string{"somebody@mail.test", "bounce+label@simulator.amazonses.com", "success@simulator.amazonses.com"} {
		m := message()
		m.To = []string{to}
		if _, err := r.client.Send(t.Context(), m); err != nil {
			t.Error(to, err)
		}
	}
}

func TestMailFromThatMustNotFail(t *testing.T) {
	t.Parallel()
	z := newZone()
	r := start(t, sessim.Config{Resolver: z})
	i, _, err := r.client.CreateIdentity(t.Context(), "mail.test")
	if err != nil {
		t.Fatal(err)
	}
	z.publishDKIM("mail.test", i.DKIMTokens)
	if err := r.client.EnsureConfigurationSet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.client.SetMailFrom(t.Context(), "mail.test", "b.mail.test"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Error("the default is to fall back:", err)
	}
	if got := r.Messages()[0].MailFrom; got != "amazonses.com" {
		t.Error(got)
	}
	status, _, _ := r.call(t, http.MethodPut, "/v2/email/identities/mail.test/mail-from", `{"MailFromDomain":"b.mail.test","BehaviorOnMxFailure":"REJECT_MESSAGE"}`)
	if status != 200 {
		t.Error(status)
	}
	_, err = r.client.Send(t.Context(), message())
	wantClass(t, err, ses.DomainNotReady)
}

func TestRateIsCountedInRecipients(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := ready(t, sessim.Config{Now: c.Now, MaxPerSecond: 2})
	m := message()
	m.Cc = []string{"b@example.com", "c@example.com", "d@example.com"}
	if _, err := r.client.Send(t.Context(), m); err != nil {
		t.Fatal("the first passes as long as anything is left:", err)
	}
	_, err := r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Throttled)
	c.advance(time.Second) // 2 of 2 owed
	_, err = r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Throttled)
	c.advance(500 * time.Millisecond)
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
}

func TestDailyQuotaIsCountedInRecipients(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := ready(t, sessim.Config{Now: c.Now, Max24Hour: 3})
	m := message()
	m.Bcc = []string{"b@example.com", "c@example.com"}
	if _, err := r.client.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	q, err := r.client.GetQuota(t.Context())
	if err != nil || q.SentLast24Hours != 3 || q.Max24Hour != 3 || !q.SendingEnabled || !q.ProductionAccess || q.EnforcementStatus != "HEALTHY" {
		t.Errorf("%+v %v", q, err)
	}
	_, err = r.client.Send(t.Context(), message())
	wantClass(t, err, ses.QuotaExceeded)
	c.advance(24*time.Hour + time.Minute)
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Error("a day later:", err)
	}
}

func TestPausedAccount(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	if status, _, _ := r.call(t, http.MethodPut, "/v2/email/account/sending", `{"SendingEnabled":false}`); status != 200 {
		t.Fatal(status)
	}
	_, err := r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Paused)
	yes, shutdown := true, "SHUTDOWN"
	if err := r.SetAccount(sessim.AccountChange{SendingEnabled: &yes, EnforcementStatus: &shutdown}); err != nil {
		t.Fatal(err)
	}
	_, err = r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Paused)
	if q, err := r.client.GetQuota(t.Context()); err != nil || q.SendingEnabled {
		t.Error(q, err)
	}
}

func TestConcurrentSendsAreAllKept(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{Journal: t.TempDir() + "/journal", KeepBodies: 10})
	const senders, each = 16, 25
	ids := make(chan string, senders*each)
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for range each {
				id, err := r.client.Send(t.Context(), message())
				if err != nil {
					t.Error(err)
				}
				ids <- id
				r.Messages()
				r.Stats()
			}
		})
	}
	group.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		seen[id] = true
	}
	records := r.Records(0, 1_000_000)
	if len(seen) != senders*each || len(records) != senders*each || len(r.Messages()) != 10 {
		t.Fatal(len(seen), len(records), len(r.Messages()))
	}
	for i, record := range records {
		if !seen[record.ProviderID] || record.Sequence != int64(i+1) {
			t.Fatal(record)
		}
	}
	if got := r.Records(390, 5); len(got) != 5 || got[0].Sequence != 391 {
		t.Error(got)
	}
	if newest := r.Messages()[0].ProviderID; newest != records[len(records)-1].ProviderID {
		t.Error("the newest is", newest)
	}
}

// Whatever the body holds, the response is a message id or a refusal.
func FuzzSendEmail(f *testing.F) {
	whole, err := json.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(whole), "", "null", "{}", `{"Content":{"Simple":{"Subject":null}}}`, `{"Content":{"Simple":{"Subject":{},"Body":{"Text":{"Data":"x"}}}},"FromEmailAddress":"\"a@\"@b.c"}`} {
		f.Add(seed)
	}
	r := ready(f, sessim.Config{})
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v2/email/outbound-emails", strings.NewReader(body))
		q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=00")
		r.ServeHTTP(w, q)
		if !json.Valid(w.Body.Bytes()) || w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w.Code != 200 {
			return
		}
		for _, address := range append(r.Messages()[0].To, r.Messages()[0].From) {
			if strings.ContainsAny(address, "\r\n") || !strings.Contains(address, "@") {
				t.Errorf("accepted %q", address)
			}
		}
	})
}
