package sessim_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

func TestJournalRestoresEverything(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "ses.jsonl")
	c := newClock()
	first := ready(t, sessim.Config{Journal: path, Now: c.Now})
	ctx := t.Context()
	if _, _, err := first.client.CreateIdentity(ctx, "gone.test"); err != nil {
		t.Fatal(err)
	}
	if err := first.client.DeleteIdentity(ctx, "gone.test"); err != nil {
		t.Fatal(err)
	}
	if err := first.client.SetMailFrom(ctx, "mail.test", "bounce.mail.test"); err != nil {
		t.Fatal(err)
	}
	quota := 10.0
	if err := first.SetAccount(sessim.AccountChange{Max24Hour: &quota}); err != nil {
		t.Fatal(err)
	}
	status, _, _ := first.call(t, http.MethodPut, "/v2/email/suppression/addresses", `{"EmailAddress":"x@example.com","Reason":"BOUNCE"}`)
	if status != 200 {
		t.Fatal(status)
	}
	m := message()
	id, err := first.client.Send(ctx, m)
	if err != nil {
		t.Fatal(err)
	}

	// No Close: the first process was killed.
	second := start(t, sessim.Config{Journal: path, Now: c.Now})
	got, ok := second.Message(id)
	if !ok || got.MessageID != m.ID.String() || got.HTML != m.HTML || got.Subject != m.Subject {
		t.Errorf("%+v", got)
	}
	i, err := second.client.GetIdentity(ctx, "mail.test")
	if err != nil || i.MailFromDomain != "bounce.mail.test" || !i.VerifiedForSending {
		t.Error(i, err)
	}
	_, err = second.client.GetIdentity(ctx, "gone.test")
	wantClass(t, err, ses.NotFound)
	if q, err := second.client.GetQuota(ctx); err != nil || q.Max24Hour != 10 || q.SentLast24Hours != 1 {
		t.Error(q, err)
	}
	if status, _, _ := second.call(t, http.MethodGet, "/v2/email/suppression/addresses/x@example.com", ""); status != 200 {
		t.Error(status)
	}
	if _, err := second.client.Send(ctx, message()); err != nil {
		t.Error(err)
	}
	if got := second.Stats(); got.Accepted != 2 {
		t.Error(got)
	}
}

func TestJournalWithATornLastLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ses.jsonl")
	first := ready(t, sessim.Config{Journal: path})
	if _, err := first.client.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, `{"at":"2026-01-01T00:0`...), 0o600); err != nil {
		t.Fatal(err)
	}
	second := start(t, sessim.Config{Journal: path})
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("not cut back to whole lines: %s %v", got, err)
	}
	if _, err := second.client.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	third := start(t, sessim.Config{Journal: path})
	if got := third.Stats(); got.Accepted != 2 {
		t.Error(got)
	}
}

func TestJournalThatIsNoJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ses.jsonl")
	if err := os.WriteFile(path, []byte("not json\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sessim.New(sessim.Config{Journal: path}); err == nil {
		t.Error("opened")
	}
}

func TestClosedSimulatorTakesNothing(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{Journal: filepath.Join(t.TempDir(), "ses.jsonl")})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Ambiguous)
	if n := r.Stats().Accepted; n != 0 {
		t.Error("accepted", n)
	}
}
