package worker_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/worker"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// testTimeout bounds how long a test waits for something that must happen.
const testTimeout = 2 * time.Minute

// house is the environment of a test: a database, a simulated SES, a clock, and a worker on them.
type house struct {
	store   *store.Store
	ses     *sessim.Simulator
	client  *ses.Client
	server  *httptest.Server
	domains *domains
	clock   *clock
	log     *journal
	sealer  *sealed.Sealer
	worker  *worker.Worker
}

func newHouse(t testing.TB) *house {
	t.Helper()
	return newHouseOn(t, storetest.New(t))
}

func newHouseOn(t testing.TB, s *store.Store) *house {
	t.Helper()
	h := &house{store: s, clock: &clock{now: time.Now().Truncate(time.Microsecond)}, log: &journal{}}
	h.domains = &domains{next: h.clock.Now().Add(time.Hour)}
	var err error
	if h.sealer, err = sealed.NewSealer(rand.Reader, bytes.Repeat([]byte{1}, 32)); err != nil {
		t.Fatal(err)
	}
	if h.ses, err = sessim.New(sessim.Config{}); err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewServer(h.ses)
	t.Cleanup(func() {
		if err := h.ses.Close(); err != nil {
			t.Error(err)
		}
		h.server.Close()
	})
	h.client = newClient(t, h.server.URL)
	h.worker = h.newWorker(t)
	return h
}

func newClient(t testing.TB, endpoint string) *ses.Client {
	t.Helper()
	client, err := ses.New(context.Background(), ses.Config{
		Region: "us-east-1", Endpoint: endpoint, StaticAccessKey: "id", StaticSecretKey: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (h *house) newWorker(t testing.TB, changes ...func(*worker.Config)) *worker.Worker {
	t.Helper()
	config := worker.Config{
		Store: h.store, SES: h.client, FetchQuota: h.client.GetQuota, Domains: h.domains, Now: h.clock.Now, Sealer: h.sealer,
		WebhookSender: webhook.NewSender(webhook.Config{Now: h.clock.Now}),
		Random:        func() float64 { return 0 },
		Log:           slog.New(slog.NewTextHandler(h.log, nil)),
	}
	for _, change := range changes {
		change(&config)
	}
	d, err := worker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// pass runs the worker once and requires that it claimed want rows.
func (h *house) pass(t testing.TB, want int) {
	t.Helper()
	got, err := h.worker.RunOnce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("a pass claimed %d rows, want %d", got, want)
	}
}

// start runs a worker. The returned function stops it and waits for its end.
func start(t testing.TB, d *worker.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// tenant is an organization with a verified domain.
type tenant struct {
	id, domainID uuid.UUID
	domain       string
}

func (h *house) tenant(t testing.TB) tenant {
	t.Helper()
	ctx := t.Context()
	o := tenant{id: newID(t), domainID: newID(t)}
	o.domain = "d" + o.id.String()[24:] + ".example.com"
	now := h.clock.Now()
	queries := h.store.Queries()
	must(t, queries.OrganizationInsert(ctx, db.OrganizationInsertParams{
		ID: o.id, Name: o.domain, FreeMonthlyAllowance: 1000, PricePer1kCents: 10, CreatedAt: now,
	}))
	if _, err := queries.DomainInsert(ctx, db.DomainInsertParams{
		ID: o.domainID, OrganizationID: o.id, Name: o.domain, MailFromSubdomain: "mail", OwnershipToken: "token", Now: now,
	}); err != nil {
		t.Fatal(err)
	}
	h.exec(t, "UPDATE domains SET status = 'Verified' WHERE id = $1", o.domainID)
	if _, _, err := h.client.CreateIdentity(ctx, o.domain); err != nil {
		t.Fatal(err)
	}
	return o
}

// accept stores messages as intake does.
func (h *house) accept(t testing.TB, o tenant, n int) []uuid.UUID {
	t.Helper()
	ctx := t.Context()
	now := h.clock.Now()
	emails := db.EmailInsertParams{Now: now}
	var recipients db.RecipientInsertParams
	var contents db.ContentInsertParams
	sends := db.SendInsertParams{DueAt: now}
	for i := range n {
		id := newID(t)
		address := fmt.Sprintf("To.%d@rcpt.example", i)
		emails.Ids = append(emails.Ids, id)
		emails.OrganizationIds = append(emails.OrganizationIds, o.id)
		emails.APIKeyIds = append(emails.APIKeyIds, uuid.Nil)
		emails.DomainIds = append(emails.DomainIds, o.domainID)
		emails.FromEmails = append(emails.FromEmails, "hello@"+o.domain)
		emails.FromNames = append(emails.FromNames, "Käthe, \"Sales\"")
		emails.ToEmails = append(emails.ToEmails, address)
		emails.Ccs = append(emails.Ccs, "")
		emails.Bccs = append(emails.Bccs, "hidden@rcpt.example")
		emails.ReplyTos = append(emails.ReplyTos, `"Help; us" <help@rcpt.example>, second@rcpt.example`)
		emails.Subjects = append(emails.Subjects, "A subject")
		emails.Tags = append(emails.Tags, "welcome,v1.2")
		contents.EmailIds = append(contents.EmailIds, id)
		contents.OrganizationIds = append(contents.OrganizationIds, o.id)
		contents.Htmls = append(contents.Htmls, "<p>Hello</p>")
		contents.Texts = append(contents.Texts, "Hello")
		sends.BodyBytes = append(sends.BodyBytes, int32(len("<p>Hello</p>Hello")))
		sends.EmailIds = append(sends.EmailIds, id)
		sends.OrganizationIds = append(sends.OrganizationIds, o.id)
		for position, r := range []struct{ kind, name, address, key string }{
			{"to", "Ünal; Ann", address, fmt.Sprintf("to.%d@rcpt.example", i)},
			{"bcc", "", "hidden@rcpt.example", "hidden@rcpt.example"},
		} {
			recipients.EmailIds = append(recipients.EmailIds, id)
			recipients.Positions = append(recipients.Positions, int16(position))
			recipients.OrganizationIds = append(recipients.OrganizationIds, o.id)
			recipients.Kinds = append(recipients.Kinds, r.kind)
			recipients.Names = append(recipients.Names, r.name)
			recipients.Addresses = append(recipients.Addresses, r.address)
			recipients.AddressKeys = append(recipients.AddressKeys, r.key)
		}
	}
	must(t, h.store.Tx(ctx, func(tx *db.Queries) error {
		for _, insert := range []func() error{
			func() error { return tx.EmailInsert(ctx, emails) },
			func() error { return tx.RecipientInsert(ctx, recipients) },
			func() error { return tx.ContentInsert(ctx, contents) },
			func() error { return tx.SendInsert(ctx, sends) },
			func() error {
				return tx.SendNotify(ctx, db.SendNotifyParams{DueAt: now, OrganizationIds: sends.OrganizationIds})
			},
		} {
			if err := insert(); err != nil {
				return err
			}
		}
		return nil
	}))
	return emails.Ids
}

func (h *house) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if _, err := h.store.Pool().Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func (h *house) count(t testing.TB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := h.store.Pool().QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(testTimeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("still not: %s", what)
		case <-tick.C:
		}
	}
}

func (h *house) idle(t testing.TB) func() bool {
	return func() bool { return h.count(t, "SELECT count(*) FROM sends") == 0 }
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	must(t, err)
	return id
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// domains is a fake of package domain, which has tests of its own.
type domains struct {
	mu      sync.Mutex
	next    time.Time
	err     error
	checked []uuid.UUID
	swept   int
}

func (d *domains) Recheck(_ context.Context, _, domainID uuid.UUID) (time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checked = append(d.checked, domainID)
	return d.next, d.err
}

func (d *domains) SweepIdentities(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.swept++
	return d.err
}

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
