package intake_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// sender is an organization with a key and the verified domain acme.test.
type sender struct {
	t            testing.TB
	store        *store.Store
	organization uuid.UUID
	key          uuid.UUID
	domain       uuid.UUID
}

func newSender(t testing.TB, s *store.Store) *sender {
	t.Helper()
	one := &sender{t, s, uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()), uuid.Nil}
	one.execute(`INSERT INTO organizations (id, name, free_monthly_allowance, price_per_1k_cents, created_at)
		VALUES ($1, $2, 100, 40, now())`, one.organization, one.organization.String())
	one.execute(`INSERT INTO api_keys (id, organization_id, name, prefix, secret_hash, scopes, created_at)
		VALUES ($1, $2, 'key', $3, '', '{}', now())`, one.key, one.organization, one.key.String())
	one.domain = one.verified("acme.test")
	return one
}

func (one *sender) verified(name string) uuid.UUID {
	one.t.Helper()
	id := uuid.Must(uuid.NewV7())
	one.execute(`INSERT INTO domains
		(id, organization_id, name, mail_from_subdomain, ownership_token, status, pending_since, created_at)
		VALUES ($1, $2, $3, 'mail', 'token', 'Verified', now(), now())`, id, one.organization, name)
	return id
}

func (one *sender) execute(statement string, arguments ...any) {
	one.t.Helper()
	if _, err := one.store.Pool().Exec(one.t.Context(), statement, arguments...); err != nil {
		one.t.Fatal(err)
	}
}

func (one *sender) count(statement string, arguments ...any) int {
	one.t.Helper()
	var found int
	if err := one.store.Pool().QueryRow(one.t.Context(), statement, arguments...).Scan(&found); err != nil {
		one.t.Fatal(err)
	}
	return found
}

// stored returns the number of stored messages. It fails the test when one lacks a row or when the usage differs.
func (one *sender) stored() int {
	one.t.Helper()
	messages := one.count(`SELECT count(*) FROM emails WHERE organization_id = $1`, one.organization)
	for _, table := range []string{"recipients", "contents", "sends"} {
		if found := one.count(`SELECT count(*) FROM `+table+` WHERE organization_id = $1`, one.organization); found != messages {
			one.t.Errorf("%d messages, %d %s", messages, found, table)
		}
	}
	used := one.count(`SELECT coalesce(sum(emails_sent), 0)::int FROM usage_periods WHERE organization_id = $1`, one.organization)
	if used != messages {
		one.t.Errorf("%d messages, %d counted", messages, used)
	}
	return messages
}

func (one *sender) message(from, to string) intake.Message {
	one.t.Helper()
	sender, err := mail.ParseAddress(from)
	if err != nil {
		one.t.Fatal(err)
	}
	recipients, err := mail.ParseList(to)
	if err != nil {
		one.t.Fatal(err)
	}
	return intake.Message{
		OrganizationID: one.organization, APIKeyID: one.key, From: sender, To: recipients, Subject: "Welcome", Text: "Hi",
	}
}

func open(s intake.Store) *intake.Intake {
	return intake.New(intake.Config{
		Store: s, Now: time.Now, Random: rand.Reader,
	})
}

func TestAcceptChecksInTheTransaction(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	other := newSender(t, s)
	for name, check := range map[string]struct {
		reason  intake.Reason
		field   string
		prepare func(one *sender, message *intake.Message)
	}{
		"key revoked": {intake.KeyNotValid, "", func(one *sender, _ *intake.Message) {
			one.execute(`UPDATE api_keys SET revoked_at = now() WHERE id = $1`, one.key)
		}},
		"key expired": {intake.KeyNotValid, "", func(one *sender, _ *intake.Message) {
			one.execute(`UPDATE api_keys SET expires_at = now() WHERE id = $1`, one.key)
		}},
		"key of another": {intake.KeyNotValid, "", func(_ *sender, message *intake.Message) { message.APIKeyID = other.key }},
		"no key":         {intake.KeyNotValid, "", func(_ *sender, message *intake.Message) { message.APIKeyID = uuid.Nil }},
		"suspended": {intake.OrganizationInactive, "", func(one *sender, _ *intake.Message) {
			one.execute(`UPDATE organizations SET suspended_at = now() WHERE id = $1`, one.organization)
		}},
		"revoked and suspended": {intake.KeyNotValid, "", func(one *sender, _ *intake.Message) {
			one.execute(`UPDATE organizations SET suspended_at = now() WHERE id = $1`, one.organization)
			one.execute(`UPDATE api_keys SET revoked_at = now() WHERE id = $1`, one.key)
		}},
		"domain pending": {intake.DomainNotVerified, "from", func(one *sender, _ *intake.Message) {
			one.execute(`UPDATE domains SET status = 'Pending' WHERE id = $1`, one.domain)
		}},
		"suppressed": {intake.RecipientSuppressed, "bcc", func(one *sender, message *intake.Message) {
			message.Bcc = []mail.Address{{Name: "B", Local: `"B"`, Domain: "example.com"}}
			one.execute(`INSERT INTO suppressions (id, organization_id, address_key, reason, created_at) VALUES (gen_random_uuid(), $1, 'b@example.com', 'Bounce', now())`, one.organization)
		}},
		"exhausted": {intake.FreeTierExhausted, "", func(one *sender, _ *intake.Message) {
			one.execute(`UPDATE organizations SET free_monthly_allowance = 0 WHERE id = $1`, one.organization)
		}},
		"capped": {intake.SpendCapReached, "", func(one *sender, _ *intake.Message) {
			one.execute(`UPDATE organizations SET free_monthly_allowance = 0, has_payment_method = true, monthly_spend_cap_cents = 0
				WHERE id = $1`, one.organization)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := newSender(t, s)
			message := one.message("hello@acme.test", "user@example.com")
			check.prepare(one, &message)
			results, err := open(s).Accept(t.Context(), []intake.Message{message})
			if err != nil || len(results) != 1 || results[0].Refusal == nil || results[0].ID != uuid.Nil {
				t.Fatalf("answered %+v, %v", results, err)
			}
			if refusal := results[0].Refusal; refusal.Reason != check.reason || refusal.Field != check.field {
				t.Errorf("refused with %+v", refusal)
			}
			if one.stored() != 0 || one.count(`SELECT count(*) FROM usage_periods WHERE organization_id = $1`, one.organization) != 0 {
				t.Error("left something behind")
			}
		})
	}
}

// TestAcceptRecordsTheClosestDomain: sending checks the domain again that allowed the message.
func TestAcceptRecordsTheClosestDomain(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	one := newSender(t, s)
	news := one.verified("news.acme.test")
	messages := []intake.Message{
		one.message("a@acme.test", "user@example.com"), one.message("a@news.acme.test", "user@example.com"),
		one.message("a@x.news.acme.test", "user@example.com"), one.message("a@xnews.acme.test", "user@example.com"),
	}
	results, err := open(s).Accept(t.Context(), messages)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uuid.UUID{one.domain, news, news, one.domain} {
		var found uuid.UUID
		err := s.Pool().QueryRow(t.Context(), `SELECT domain_id FROM emails WHERE id = $1`, results[i].ID).Scan(&found)
		if err != nil || found != want {
			t.Errorf("message %d has domain %s, %v, want %s", i, found, err, want)
		}
	}
}

// repeating runs the work of every transaction twice, as after a deadlock; the first run is rolled back.
type repeating struct{ *store.Store }

var errUndone = errors.New("undone")

func (r repeating) TxPipelined(ctx context.Context, work func(tx *db.Queries) error) error {
	err := r.Store.TxPipelined(ctx, func(tx *db.Queries) error {
		if err := work(tx); err != nil {
			return err
		}
		return errUndone
	})
	if !errors.Is(err, errUndone) {
		return err
	}
	return r.Store.TxPipelined(ctx, work)
}

func TestAcceptCanBeRepeated(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	one := newSender(t, s)
	messages := []intake.Message{one.message("a@acme.test", "user@example.com"), one.message("a@b.test", "user@example.com")}
	results, err := open(repeating{s}).Accept(t.Context(), messages)
	if err != nil || len(results) != 2 || results[0].Refusal != nil || results[1].Refusal == nil {
		t.Fatalf("answered %+v, %v", results, err)
	}
	if found := one.count(`SELECT count(*) FROM emails WHERE id = $1`, results[0].ID); found != 1 || one.stored() != 1 {
		t.Errorf("the answered id is stored %d times, %d messages in all", found, one.stored())
	}
}

// failing fails every transaction at the commit.
type failing struct{ *store.Store }

func (f failing) TxPipelined(ctx context.Context, work func(tx *db.Queries) error) error {
	return f.Store.TxPipelined(ctx, func(tx *db.Queries) error { return errors.Join(work(tx), errUndone) })
}

func TestAcceptFailsWhole(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	one := newSender(t, s)
	messages := []intake.Message{one.message("a@acme.test", "user@example.com")}
	if results, err := open(failing{s}).Accept(t.Context(), messages); !errors.Is(err, errUndone) || results != nil {
		t.Errorf("answered %+v, %v", results, err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if results, err := open(s).Accept(canceled, messages); !errors.Is(err, context.Canceled) || results != nil {
		t.Errorf("answered %+v, %v", results, err)
	}
	if one.stored() != 0 {
		t.Error("left something behind")
	}
}

// TestAcceptRaces: requests of several organizations at once, each with an allowance of 100.
func TestAcceptRaces(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	senders := []*sender{newSender(t, s), newSender(t, s)}
	accepting := open(s)
	var running sync.WaitGroup
	for i := range 60 {
		one := senders[i%len(senders)]
		var messages []intake.Message
		for range 7 {
			messages = append(messages, one.message("a@acme.test", "user@example.com"))
		}
		running.Go(func() {
			results, err := accepting.Accept(t.Context(), messages)
			if err != nil || len(results) != len(messages) {
				t.Errorf("answered %+v, %v", results, err)
				return
			}
			for i := 1; i < len(results); i++ {
				if results[i-1].Refusal != nil && results[i].Refusal == nil {
					t.Errorf("message %d was accepted after one that did not fit", i)
				}
			}
		})
	}
	running.Wait()
	for _, one := range senders {
		if found := one.stored(); found != 100 {
			t.Errorf("%d messages are stored, want 100", found)
		}
	}
}
