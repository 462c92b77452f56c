package contracttests

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/billing"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/sealed"
)

// tenant is an organization with a key that has every scope.
type tenant struct {
	*stack
	id    uuid.UUID
	keyID uuid.UUID
	key   string
}

// newTenant makes an organization in the database and its first key, as the command line does.
func (s *stack) newTenant() *tenant {
	s.t.Helper()
	t := &tenant{stack: s, id: uuid.Must(uuid.NewV7())}
	must(s.t, s.store.Queries().OrganizationInsert(s.t.Context(), db.OrganizationInsertParams{
		ID: t.id, Name: t.id.String(), CreatedAt: s.clock.now(),
		FreeMonthlyAllowance: billing.DefaultFreeAllowance, PricePer1kCents: billing.DefaultPricePer1kCents,
	}))
	t.keyID, t.key = t.insertKey("first", apikey.Scopes(), nil)
	return t
}

// insertKey stores a key without the API.
func (t *tenant) insertKey(name string, scopes []string, expiresAt *time.Time) (uuid.UUID, string) {
	t.t.Helper()
	secret, err := apikey.New(rand.Reader)
	must(t.t, err)
	row, err := t.store.Queries().APIKeyInsert(t.t.Context(), db.APIKeyInsertParams{
		ID: uuid.Must(uuid.NewV7()), OrganizationID: t.id, Name: name, Prefix: secret.Prefix, SecretHash: secret.Hash(),
		Scopes: scopes, ExpiresAt: expiresAt, CreatedAt: t.clock.now(),
	})
	must(t.t, err)
	return row.ID, secret.Reveal()
}

// sealer seals with the key that all processes of a deployment share.
func sealer(t testing.TB) *sealed.Sealer {
	t.Helper()
	sealer, err := sealed.NewSealer(rand.Reader, []byte("a key for tests, of 32 bytes ...")[:32])
	must(t, err)
	return sealer
}

// call makes a request with the tenant's key.
func (t *tenant) call(method, path string, body any, headers ...string) answer {
	t.t.Helper()
	return t.exchange(method, path, t.key, body, headers...)
}

// register registers a domain.
func (t *tenant) register(name string) api.Domain {
	t.t.Helper()
	return decoded[api.Domain](t.call(http.MethodPost, "/v1/domains", map[string]any{"domain": name}).is(http.StatusCreated))
}

// publish puts records of a domain into the zone.
func (s *stack) publish(records ...api.DNSRecord) {
	for _, record := range records {
		s.zone.Set(dns.Record{Name: record.Name, Type: string(record.Type), Value: record.Value, TTL: 60})
	}
}

// verified registers a domain, publishes its records and verifies it.
func (t *tenant) verified(name string) api.Domain {
	t.t.Helper()
	registered := t.register(name)
	t.publish(registered.DNSRecords...)
	t.clock.advance(time.Minute)
	found := decoded[api.Domain](t.call(http.MethodPost, "/v1/domains/"+registered.ID.String()+"/verify", nil).is(http.StatusOK))
	if found.Status != api.DomainStatusVerified {
		t.t.Fatalf("%s is %s: %+v", name, found.Status, found.DNSRecords)
	}
	return found
}

// newSender returns a tenant with a verified domain of its own, and an address below it.
func (s *stack) newSender() (*tenant, string) {
	s.t.Helper()
	t := s.newTenant()
	name := "d" + strings.ReplaceAll(t.id.String(), "-", "") + ".test"
	t.verified(name)
	return t, "hello@" + name
}

// email is a request that should be accepted, with members changed, added or (nil) left out.
func email(from string, changes ...any) map[string]any {
	request := map[string]any{"from": from, "to": "user@example.com", "subject": "Welcome", "text": "Hi"}
	for i := 0; i+1 < len(changes); i += 2 {
		name, _ := changes[i].(string)
		request[name] = changes[i+1]
	}
	return request
}

// send sends one message and returns its id.
func (t *tenant) send(request map[string]any) uuid.UUID {
	t.t.Helper()
	return decoded[api.QueuedEmail](t.call(http.MethodPost, "/v1/emails", request).is(http.StatusAccepted)).ID
}

// read reads a message.
func (t *tenant) read(id uuid.UUID) api.Email {
	t.t.Helper()
	return decoded[api.Email](t.call(http.MethodGet, "/v1/emails/"+id.String(), nil).is(http.StatusOK))
}

// usage reads the current period.
func (t *tenant) usage() api.Usage {
	t.t.Helper()
	return decoded[api.Usage](t.call(http.MethodGet, "/v1/billing/usage", nil).is(http.StatusOK))
}
