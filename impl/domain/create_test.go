package domain_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/ses"
)

func TestCreateShowsTheRecordsToPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "Acme.TEST.", "")

	if view.Name != "acme.test" || view.Status != domain.StatusPending || view.MailFromDomain != "mail.acme.test" {
		t.Errorf("created %q, %s, MAIL FROM %q", view.Name, view.Status, view.MailFromDomain)
	}
	if view.StatusReason != nil || view.VerifiedAt != nil || view.CheckedAt != nil || view.OwnedAt != nil {
		t.Error("a new domain has a history")
	}
	identity, ok := w.identity("acme.test")
	if !ok {
		t.Fatal("SES has no identity")
	}
	var got []string
	for _, r := range view.Records {
		if r.TTL != 1800 || r.Status != domain.RecordPending || r.Observed == nil || len(r.Observed) != 0 {
			t.Errorf("record %+v", r)
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %v", r.Purpose, r.Type, r.Name, r.Value, r.Required))
	}
	want := []string{"Ownership TXT _mailstack.acme.test " + view.OwnershipToken + " true"}
	for _, token := range identity.DKIMTokens {
		want = append(want, "DKIM CNAME "+token+"._domainkey.acme.test "+token+".dkim.amazonses.com true")
	}
	want = append(want,
		"MAIL FROM MX mail.acme.test 10 feedback-smtp.eu-west-1.amazonses.com true",
		"SPF TXT mail.acme.test v=spf1 include:amazonses.com ~all true",
		"DMARC TXT _dmarc.acme.test v=DMARC1; p=none; false",
	)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("records:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !regexp.MustCompile(`^mailstack-verification=[a-z2-7]{32}$`).MatchString(view.OwnershipToken) {
		t.Errorf("ownership token %q", view.OwnershipToken)
	}
	if identity.MailFromDomain != "" {
		t.Error("the MAIL FROM was set before the ownership was proven")
	}
	var due time.Time
	err := w.store.Pool().QueryRow(t.Context(), "SELECT due_at FROM domain_checks WHERE domain_id = $1", view.ID).Scan(&due)
	if err != nil || !due.Equal(w.clock.Now().Add(time.Minute)) {
		t.Errorf("first look at %v, %v", due, err)
	}
}

// A label may have hyphens that IDNA forbids: it is a DNS label, whatever the domain below it is.
func TestCreateTakesHyphensBeforeAnInternationalName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view, err := w.Create(t.Context(), w.organization("a"), "bücher.test", "9z--mail")
	if err != nil || view.MailFromDomain != "9z--mail.xn--bcher-kva.test" {
		t.Errorf("got %q, %v", view.MailFromDomain, err)
	}
}

func TestCreateRefusesNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	long := strings.Repeat(strings.Repeat("a", 60)+".", 4) + "test"
	for _, names := range [][2]string{
		{"co.uk", ""},
		{"*.acme.test", ""},
		{"127.0.0.1", ""},
		{"acme.test", "a.b"},
		{"acme.test", "-a"},
		{long, ""},
		{long[40:], strings.Repeat("a", 63)},
	} {
		if _, err := w.Create(t.Context(), organization, names[0], names[1]); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%v: %v", names, err)
		}
	}
	if calls := w.ses.take(); len(calls) != 0 {
		t.Errorf("SES was asked: %v", calls)
	}
}

func TestCreateTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	w.create(organization, "acme.test", "")
	if _, err := w.Create(t.Context(), organization, "ACME.test", "other"); !errors.Is(err, domain.ErrExists) {
		t.Errorf("second: %v", err)
	}

	var results sync.Map
	var workers sync.WaitGroup
	for i := range 8 {
		workers.Go(func() {
			_, err := w.Create(t.Context(), organization, "race.test", "")
			results.Store(i, err)
		})
	}
	workers.Wait()
	created := 0
	results.Range(func(_, result any) bool {
		if result == nil {
			created++
		} else if !errors.Is(result.(error), domain.ErrExists) {
			t.Error(result)
		}
		return true
	})
	if created != 1 {
		t.Errorf("created %d times", created)
	}
}

func TestLimitHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	for i := range 95 {
		insert(w, organization, fmt.Sprintf("d%d.test", i))
	}
	var created, refused int
	var mu sync.Mutex
	var workers sync.WaitGroup
	for i := range 12 {
		workers.Go(func() {
			_, err := w.Create(t.Context(), organization, fmt.Sprintf("new%d.test", i), "")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				created++
			case errors.Is(err, domain.ErrLimit):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	workers.Wait()
	if created != 5 || refused != 7 {
		t.Errorf("%d created, %d refused", created, refused)
	}
	w.ses.take()
	if _, err := w.Create(t.Context(), organization, "late.test", ""); !errors.Is(err, domain.ErrLimit) {
		t.Errorf("at the limit: %v", err)
	}
	if calls := w.ses.take(); len(calls) != 0 {
		t.Errorf("SES was asked: %v", calls)
	}
	if views, err := w.List(t.Context(), organization); err != nil || len(views) != 100 {
		t.Errorf("%d domains, %v", len(views), err)
	}
	w.create(w.organization("b"), "other.test", "")
}

// insert inserts a domain into the database only.
func insert(w *world, organization uuid.UUID, name string) db.Domain {
	w.t.Helper()
	row, err := w.store.Queries().DomainInsert(w.t.Context(), db.DomainInsertParams{
		ID: uuid.Must(uuid.NewV7()), OrganizationID: organization, Name: name, MailFromSubdomain: "mail",
		OwnershipToken: "mailstack-verification=" + name, Now: w.clock.Now(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

func TestCreateWithoutSESLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	w.ses.down()
	_, err := w.Create(t.Context(), organization, "acme.test", "")
	var failure *ses.Error
	if !errors.As(err, &failure) || failure.Class != ses.Unreachable {
		t.Errorf("without SES: %v", err)
	}
	var rows int
	err = w.store.Pool().QueryRow(t.Context(),
		"SELECT (SELECT count(*) FROM domains) + (SELECT count(*) FROM identities) + (SELECT count(*) FROM domain_checks)").Scan(&rows)
	if err != nil || rows != 0 {
		t.Errorf("%d rows left, %v", rows, err)
	}
	w.ses.up()
	w.create(organization, "acme.test", "")
}

func TestDomainsBelongToTheirOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.organization("a"), w.organization("b")
	first, second := w.create(a, "one.test", ""), w.create(a, "two.test", "")
	if _, err := w.Get(t.Context(), b, first.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if _, err := w.Verify(t.Context(), b, first.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("verify: %v", err)
	}
	if err := w.Delete(t.Context(), b, first.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("delete: %v", err)
	}
	if views, err := w.List(t.Context(), b); err != nil || views == nil || len(views) != 0 {
		t.Errorf("list: %v, %v", views, err)
	}
	views, err := w.List(t.Context(), a)
	if err != nil || len(views) != 2 || views[0].ID != second.ID || views[1].ID != first.ID {
		t.Errorf("list of the owner, newest first: %v, %v", views, err)
	}
	if err := w.Delete(t.Context(), a, first.ID); err != nil {
		t.Error(err)
	}
	if err := w.Delete(t.Context(), a, first.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("delete again: %v", err)
	}
}
