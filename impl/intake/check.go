package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
)

// name is something that an organization calls by a name: a domain or an address.
type name struct {
	organizationID uuid.UUID
	text           string
}

// check refuses what may not be sent. Everything is read inside the accepting transaction: a key revoked or a
// recipient suppressed before it began is seen.
func check(ctx context.Context, tx *db.Queries, all []*candidate, now time.Time) error {
	if err := checkKeys(ctx, tx, all, now); err != nil {
		return err
	}
	if err := checkDomains(ctx, tx, remaining(all)); err != nil {
		return err
	}
	return checkSuppressions(ctx, tx, remaining(all))
}

func checkKeys(ctx context.Context, tx *db.Queries, all []*candidate, now time.Time) error {
	keys := distinct(all, func(c *candidate) []uuid.UUID { return []uuid.UUID{c.message.APIKeyID} })
	usable, err := tx.APIKeyUsable(ctx, db.APIKeyUsableParams{Ids: keys, OrganizationIds: organizations(all), Now: now})
	if err != nil {
		return fmt.Errorf("look for usable keys: %w", err)
	}
	suspended := make(map[uuid.UUID]bool, len(usable))
	for _, key := range usable {
		suspended[key.ID] = key.OrganizationSuspended
	}
	for _, c := range all {
		inactive, found := suspended[c.message.APIKeyID]
		switch {
		case !found:
			c.refuse(KeyNotValid, "")
		case inactive:
			c.refuse(OrganizationInactive, "")
		}
	}
	return nil
}

// checkDomains finds the verified domain that each message is sent from: the most specific one that is the domain of
// its sender or a parent of it.
func checkDomains(ctx context.Context, tx *db.Queries, all []*candidate) error {
	if len(all) == 0 {
		return nil
	}
	names := distinct(all, func(c *candidate) []string { return mail.Parents(c.message.From.Domain) })
	rows, err := tx.DomainVerifiedAmong(ctx, db.DomainVerifiedAmongParams{OrganizationIds: organizations(all), Names: names})
	if err != nil {
		return fmt.Errorf("look for verified domains: %w", err)
	}
	verified := make(map[name]uuid.UUID, len(rows))
	for _, row := range rows {
		verified[name{row.OrganizationID, row.Name}] = row.ID
	}
	for _, c := range all {
		for _, parent := range mail.Parents(c.message.From.Domain) {
			if id, found := verified[name{c.message.OrganizationID, parent}]; found {
				c.domainID = id
				break
			}
		}
		if c.domainID == uuid.Nil {
			c.refuse(DomainNotVerified, "from")
		}
	}
	return nil
}

func checkSuppressions(ctx context.Context, tx *db.Queries, all []*candidate) error {
	if len(all) == 0 {
		return nil
	}
	addresses := distinct(all, func(c *candidate) []string {
		var keys []string
		for _, r := range recipientsOf(c.message) {
			keys = append(keys, r.address.Key())
		}
		return keys
	})
	rows, err := tx.SuppressionAmong(ctx, db.SuppressionAmongParams{
		OrganizationIds: organizations(all), AddressKeys: addresses,
	})
	if err != nil {
		return fmt.Errorf("look for suppressed recipients: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	suppressed := make(map[name]bool, len(rows))
	for _, row := range rows {
		suppressed[name{row.OrganizationID, row.AddressKey}] = true
	}
	for _, c := range all {
		for _, r := range recipientsOf(c.message) {
			if suppressed[name{c.message.OrganizationID, r.address.Key()}] {
				c.refuse(RecipientSuppressed, r.kind)
				break
			}
		}
	}
	return nil
}

func organizations(all []*candidate) []uuid.UUID {
	return distinct(all, func(c *candidate) []uuid.UUID { return []uuid.UUID{c.message.OrganizationID} })
}

// distinct collects what the candidates name, each once.
func distinct[T comparable](all []*candidate, of func(*candidate) []T) []T {
	seen := make(map[T]bool, len(all))
	var values []T
	for _, c := range all {
		for _, value := range of(c) {
			if !seen[value] {
				seen[value] = true
				values = append(values, value)
			}
		}
	}
	return values
}
