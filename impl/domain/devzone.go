package domain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/store"
)

// DevZone is a [dns.Zone] for development. It publishes every record of every registered domain below .test, as if
// the owners had published them. That top-level domain is reserved for tests (RFC 6761, section 6.2).
type DevZone struct {
	Store  *store.Store
	Region string // as in [Config]
}

// Records implements [dns.Zone].
func (z *DevZone) Records(ctx context.Context, name, _ string) ([]dns.Record, error) {
	if !strings.HasSuffix(name, ".test") {
		return nil, nil
	}
	rows, err := z.Store.Queries().DomainListByName(ctx, mail.Parents(name))
	if err != nil {
		return nil, fmt.Errorf("look for domains: %w", err)
	}
	var records []dns.Record
	for _, row := range rows {
		view, err := newView(db.DomainGetRow(row), z.Region)
		if err != nil {
			return nil, err
		}
		for _, r := range view.Records {
			record := dns.Record{Name: r.Name, Type: r.Type, Value: r.Value, TTL: recordTTL}
			// Organizations that share a domain share most records.
			if r.Name == name && !slices.Contains(records, record) {
				records = append(records, record)
			}
		}
	}
	return records, nil
}
