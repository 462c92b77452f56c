package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/billing"
	"github.com/voostack/mailstack/impl/mail"
)

// name is the name of a domain, or the key of an address, within an organization.
type name struct {
	organizationID uuid.UUID
	text           string
}

// key is an API key of an organization.
type key struct{ organizationID, id uuid.UUID }

// standing is whether an organization is suspended, and whether its sending is paused for its bounces or complaints.
type standing struct{ suspended, paused bool }

// sendingDomain is a verified domain, and whether sending from it is paused.
type sendingDomain struct {
	id     uuid.UUID
	paused bool
}

// preconditions hold what the database says about the candidates.
type preconditions struct {
	// usable has the keys that may be used, and whether their organizations may send.
	usable map[key]standing
	// verified has the domains that mail may be sent from, unless it is paused.
	verified map[name]sendingDomain
	// suppressed has the addresses that the organization does not send to.
	suppressed map[name]bool
	// allowed has the limits of organizations.
	allowed map[uuid.UUID]allowed
	// open has the organizations whose billing period is open.
	open map[uuid.UUID]bool
}

// loadPreconditions reads the preconditions inside the accepting transaction, so that it sees a key that was
// revoked or a recipient that was suppressed before the transaction began.
func loadPreconditions(ctx context.Context, tx *db.Queries, all []*candidate, limits Limits, now time.Time) (preconditions, error) {
	found := preconditions{map[key]standing{}, map[name]sendingDomain{}, map[name]bool{}, map[uuid.UUID]allowed{}, map[uuid.UUID]bool{}}
	rows, err := tx.AcceptancePreconditions(ctx, db.AcceptancePreconditionsParams{
		OrganizationIds: organizations(all),
		APIKeyIds:       distinct(all, func(c *candidate) []uuid.UUID { return []uuid.UUID{c.message.APIKeyID} }),
		DomainNames:     distinct(all, func(c *candidate) []string { return mail.Parents(c.message.From.Domain) }),
		AddressKeys:     distinct(all, addressKeys),
		PeriodKey:       billing.PeriodAt(now).Key,
		Now:             now,
	})
	if err != nil {
		return found, fmt.Errorf("look at keys, domains and suppressions: %w", err)
	}
	for _, row := range rows {
		switch row.Kind {
		case "key":
			found.usable[key{row.OrganizationID, row.ID}] = standing{row.OrganizationSuspended, row.SendingPaused}
			found.allowed[row.OrganizationID] = limits.of(row)
		case "domain":
			found.verified[name{row.OrganizationID, row.Name}] = sendingDomain{row.ID, row.SendingPaused}
		case "suppression":
			found.suppressed[name{row.OrganizationID, row.Name}] = true
		case "period":
			found.open[row.OrganizationID] = true
		}
	}
	return found, nil
}

// check refuses the messages that may not be sent.
func check(all []*candidate, found preconditions) {
	for _, c := range all {
		organization, usable := found.usable[key{c.message.OrganizationID, c.message.APIKeyID}]
		switch {
		case !usable:
			c.refuse(KeyNotValid, "")
			continue
		case organization.suspended:
			c.refuse(OrganizationInactive, "")
			continue
		case organization.paused:
			c.refuse(SendingPaused, "")
			continue
		}
		domain, verified := found.domain(c.message)
		switch c.domainID = domain.id; {
		case !verified:
			c.refuse(DomainNotVerified, "from")
			continue
		case domain.paused:
			c.refuse(SendingPaused, "from")
			continue
		}
		if kind, suppressed := found.recipient(c.message); suppressed {
			c.refuse(RecipientSuppressed, kind)
		}
	}
}

// recipient returns the field of the first recipient that is suppressed. Most groups have none, so that case
// returns early.
func (found preconditions) recipient(message *Message) (kind string, suppressed bool) {
	if len(found.suppressed) == 0 {
		return "", false
	}
	for _, r := range recipientsOf(message) {
		if found.suppressed[name{message.OrganizationID, r.address.Key()}] {
			return r.kind, true
		}
	}
	return "", false
}

// domain returns the verified domain that the message is sent from: the most specific one that is the domain of
// its sender or a parent of it.
func (found preconditions) domain(message *Message) (domain sendingDomain, verified bool) {
	for _, parent := range mail.Parents(message.From.Domain) {
		if domain, verified = found.verified[name{message.OrganizationID, parent}]; verified {
			return domain, true
		}
	}
	return sendingDomain{}, false
}

func addressKeys(c *candidate) []string {
	recipients := recipientsOf(c.message)
	keys := make([]string, len(recipients))
	for i, r := range recipients {
		keys[i] = r.address.Key()
	}
	return keys
}

func organizations(all []*candidate) []uuid.UUID {
	return distinct(all, func(c *candidate) []uuid.UUID { return []uuid.UUID{c.message.OrganizationID} })
}

// distinct collects the values of all candidates, each once.
func distinct[T comparable](all []*candidate, of func(*candidate) []T) []T {
	seen := make(map[T]bool, len(all))
	values := make([]T, 0, len(all))
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
