package harness

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/store"
)

// Tenant is an organization that may send from its domain.
type Tenant struct {
	ID, KeyID, DomainID uuid.UUID
	Key, Domain         string
}

// NewTenant makes an organization with the given allowance of emails and no payment method, a key with every scope,
// and a verified domain.
func NewTenant(ctx context.Context, database *store.Store, allowance int64) (Tenant, error) {
	t := Tenant{ID: uuid.Must(uuid.NewV7()), KeyID: uuid.Must(uuid.NewV7()), DomainID: uuid.Must(uuid.NewV7())}
	t.Domain = t.ID.String()[24:] + ".test"
	now := time.Now()
	err := database.Queries().OrganizationInsert(ctx, db.OrganizationInsertParams{
		ID: t.ID, Name: t.ID.String(), CreatedAt: now, FreeMonthlyAllowance: allowance, PricePer1kCents: 40,
	})
	if err != nil {
		return t, fmt.Errorf("insert an organization: %w", err)
	}
	secret, err := apikey.New(rand.Reader)
	if err != nil {
		return t, err
	}
	t.Key = secret.Reveal()
	_, err = database.Queries().APIKeyInsert(ctx, db.APIKeyInsertParams{
		ID: t.KeyID, OrganizationID: t.ID, Name: "harness", Prefix: secret.Prefix, SecretHash: secret.Hash(),
		Scopes: apikey.Scopes(), CreatedAt: now,
	})
	if err != nil {
		return t, fmt.Errorf("insert a key: %w", err)
	}
	_, err = database.Pool().Exec(ctx, `INSERT INTO domains (id, organization_id, name, mail_from_subdomain, ownership_token,
		status, owned_at, verified_at, pending_since, created_at) VALUES ($1, $2, $3, 'mail', $4, 'Verified', $5, $5, $5, $5)`,
		t.DomainID, t.ID, t.Domain, t.ID.String(), now)
	if err != nil {
		return t, fmt.Errorf("insert a domain: %w", err)
	}
	return t, nil
}
