package domain_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

const region = "eu-west-1"

// world is everything around the domains: a database, a DNS, an SES account, and the time.
type world struct {
	*domain.Service
	t     *testing.T
	store *store.Store
	zone  *dns.StaticZone
	sim   *sessim.Simulator
	ses   *account
	dns   *lookups
	clock *clock
}

func newWorld(t *testing.T) *world {
	t.Helper()
	zone := dns.NewStaticZone()
	s := storetest.New(t)
	return worldOf(t, s, zone, zone)
}

// worldOf serves served; zone is where tests publish.
func worldOf(t *testing.T, s *store.Store, served dns.Zone, zone *dns.StaticZone) *world {
	t.Helper()
	server, err := dns.Serve(t.Context(), served, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	resolver, err := dns.New(dns.Config{Server: server.Addr(), Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: s, zone: zone, clock: &clock{now: time.Date(2026, 6, 18, 10, 0, 0, 0, time.UTC)}}
	w.sim, err = sessim.New(sessim.Config{Region: region, Resolver: resolver, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(w.sim)
	t.Cleanup(func() {
		if err := w.sim.Close(); err != nil {
			t.Error(err)
		}
		api.Close()
	})
	client, err := ses.New(t.Context(), ses.Config{
		Region: region, Endpoint: api.URL, StaticAccessKey: "key", StaticSecretKey: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	w.ses = &account{Client: client}
	w.dns = &lookups{Resolver: resolver}
	w.Service = w.another()
	return w
}

// another returns the service of a second process with the same world.
func (w *world) another() *domain.Service {
	return domain.New(domain.Config{Store: w.store, SES: w.ses, DNS: w.dns, Region: region, Now: w.clock.Now})
}

func (w *world) organization(name string) uuid.UUID {
	w.t.Helper()
	id := uuid.Must(uuid.NewV7())
	err := w.store.Queries().OrganizationInsert(w.t.Context(), db.OrganizationInsertParams{ID: id, Name: name, CreatedAt: w.clock.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) create(organization uuid.UUID, name, subdomain string) domain.View {
	w.t.Helper()
	view, err := w.Create(w.t.Context(), organization, name, subdomain)
	if err != nil {
		w.t.Fatalf("create %s: %v", name, err)
	}
	return view
}

// look verifies a domain after minCheckInterval, so that a check really runs.
func (w *world) look(view domain.View) domain.View {
	w.t.Helper()
	w.clock.Add(10 * time.Second)
	found, err := w.Verify(w.t.Context(), view.OrganizationID, view.ID)
	if err != nil {
		w.t.Fatalf("verify %s: %v", view.Name, err)
	}
	return found
}

// recheck checks a domain in the background.
func (w *world) recheck(view domain.View) (domain.View, time.Duration) {
	w.t.Helper()
	next, err := w.Recheck(w.t.Context(), view.OrganizationID, view.ID)
	if err != nil {
		w.t.Fatalf("recheck %s: %v", view.Name, err)
	}
	return w.get(view), next.Sub(w.clock.Now())
}

func (w *world) get(view domain.View) domain.View {
	w.t.Helper()
	found, err := w.Get(w.t.Context(), view.OrganizationID, view.ID)
	if err != nil {
		w.t.Fatalf("get %s: %v", view.Name, err)
	}
	return found
}

// publish puts the records of the domains into the DNS.
func (w *world) publish(views ...domain.View) {
	var records []dns.Record
	for _, view := range views {
		for _, r := range view.Records {
			record := dns.Record{Name: r.Name, Type: r.Type, Value: r.Value, TTL: 1}
			if !slices.Contains(records, record) {
				records = append(records, record)
			}
		}
	}
	w.zone.Set(records...)
}

// verified registers a domain and proves it.
func (w *world) verified(organization uuid.UUID, name string) domain.View {
	w.t.Helper()
	view := w.create(organization, name, "")
	w.publish(view)
	view = w.look(view)
	if view.Status != domain.StatusVerified {
		w.t.Fatalf("%s is %s: %s", name, view.Status, reason(view))
	}
	return view
}

func (w *world) sweep() {
	w.t.Helper()
	if err := w.SweepIdentities(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// identity returns SES's identity of a name, and reports whether there is one.
func (w *world) identity(name string) (ses.Identity, bool) {
	w.t.Helper()
	found, err := w.ses.Client.GetIdentity(w.t.Context(), name)
	if ses.ClassOf(err) == ses.NotFound {
		return ses.Identity{}, false
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return found, true
}

func reason(view domain.View) string {
	if view.StatusReason == nil {
		return ""
	}
	return *view.StatusReason
}

func record(t *testing.T, view domain.View, purpose string) domain.Record {
	t.Helper()
	for _, r := range view.Records {
		if r.Purpose == purpose {
			return r
		}
	}
	t.Fatalf("no record for %s", purpose)
	return domain.Record{}
}

func count(view domain.View, purpose string) int {
	n := 0
	for _, r := range view.Records {
		if r.Purpose == purpose {
			n++
		}
	}
	return n
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

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// account is an SES account that records the calls and can intercept each of them.
type account struct {
	*ses.Client
	mu     sync.Mutex
	calls  []string
	before func(operation, name string) error
}

// intercept sets what happens before each call.
func (a *account) intercept(before func(operation, name string) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before = before
}

func (a *account) down() {
	a.intercept(func(operation, _ string) error {
		return &ses.Error{Op: operation, Class: ses.Unreachable, Detail: "down"}
	})
}

func (a *account) up() { a.intercept(nil) }

// take returns the calls since its last call.
func (a *account) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls := a.calls
	a.calls = nil
	return calls
}

func (a *account) call(operation, name string) error {
	a.mu.Lock()
	a.calls = append(a.calls, operation+" "+name)
	before := a.before
	a.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(operation, name)
}

func (a *account) CreateIdentity(ctx context.Context, name string) (ses.Identity, bool, error) {
	if err := a.call("create", name); err != nil {
		return ses.Identity{}, false, err
	}
	return a.Client.CreateIdentity(ctx, name)
}

func (a *account) GetIdentity(ctx context.Context, name string) (ses.Identity, error) {
	if err := a.call("get", name); err != nil {
		return ses.Identity{}, err
	}
	return a.Client.GetIdentity(ctx, name)
}

func (a *account) SetMailFrom(ctx context.Context, name, mailFrom string) error {
	if err := a.call("mail-from", name); err != nil {
		return err
	}
	return a.Client.SetMailFrom(ctx, name, mailFrom)
}

func (a *account) DeleteIdentity(ctx context.Context, name string) error {
	if err := a.call("delete", name); err != nil {
		return err
	}
	return a.Client.DeleteIdentity(ctx, name)
}

// lookups is a resolver that counts the lookups and can intercept each of them.
type lookups struct {
	domain.Resolver
	mu     sync.Mutex
	count  int
	before func(ctx context.Context) error
}

func (l *lookups) intercept(before func(ctx context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = before
}

func (l *lookups) take() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.count
	l.count = 0
	return n
}

func (l *lookups) note(ctx context.Context) error {
	l.mu.Lock()
	l.count++
	before := l.before
	l.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(ctx)
}

func (l *lookups) CNAME(ctx context.Context, name string) ([]string, error) {
	if err := l.note(ctx); err != nil {
		return nil, err
	}
	return l.Resolver.CNAME(ctx, name)
}

func (l *lookups) TXT(ctx context.Context, name string) ([]string, error) {
	if err := l.note(ctx); err != nil {
		return nil, err
	}
	return l.Resolver.TXT(ctx, name)
}

func (l *lookups) MX(ctx context.Context, name string) ([]dns.MX, error) {
	if err := l.note(ctx); err != nil {
		return nil, err
	}
	return l.Resolver.MX(ctx, name)
}
