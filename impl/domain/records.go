package domain

import (
	"encoding/json"
	"fmt"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/dns"
)

// The purposes of a record.
const (
	PurposeOwnership = "Ownership"
	PurposeDKIM      = "DKIM"
	PurposeMailFrom  = "MAIL FROM"
	PurposeSPF       = "SPF"
	PurposeDMARC     = "DMARC"
)

// The statuses of a record.
const (
	RecordPending  = "Pending"  // not looked up yet
	RecordVerified = "Verified" // it resolves to its value
	RecordMissing  = "Missing"  // the name has no record of the type
	RecordMismatch = "Mismatch" // it has others instead
	RecordUnknown  = "Unknown"  // the lookup failed, which says nothing about the record
)

const (
	recordTTL      = 1800 // seconds
	spfInclude     = "amazonses.com"
	ownershipLabel = "_mailstack."
	ownershipValue = "mailstack-verification="
)

// View is a domain as its organization sees it.
type View struct {
	db.Domain
	// MailFromDomain is the domain in force, which another organization may have set, or else the one that this
	// organization has chosen.
	MailFromDomain string
	Records        []Record
}

// Record is a DNS record to publish, and what was last observed in its place.
type Record struct {
	Type, Name, Value string
	TTL               int // seconds
	Purpose           string
	Required          bool
	Status            string
	Observed          []string // never nil
}

// observation is the stored result of a lookup. Type and name identify a record within its domain.
type observation struct {
	Type     string   `json:"type"`
	Name     string   `json:"name"`
	Status   string   `json:"status"`
	Observed []string `json:"observed"`
}

// newView joins the records to publish with their last observations.
func newView(row db.DomainGetRow, region string) (View, error) {
	var seen []observation
	if err := json.Unmarshal(row.Domain.Observations, &seen); err != nil {
		return View{}, fmt.Errorf("read the observations of domain %s: %w", row.Domain.ID, err)
	}
	view := View{Domain: row.Domain, MailFromDomain: row.Domain.MailFromSubdomain + "." + row.Domain.Name}
	if row.MailFromDomain != nil {
		view.MailFromDomain = *row.MailFromDomain
	}
	view.Records = recordsFor(row.Domain, row.DkimTokens, view.MailFromDomain, region)
	for i := range view.Records {
		view.Records[i].applyObservation(seen)
	}
	return view, nil
}

// recordsFor returns the records of a domain. Without tokens there is no identity yet, and so no DKIM record.
// https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-easy.html
// https://docs.aws.amazon.com/ses/latest/dg/mail-from.html
func recordsFor(d db.Domain, tokens []string, mailFrom, region string) []Record {
	records := []Record{{Type: dns.TypeTXT, Name: ownershipLabel + d.Name, Value: d.OwnershipToken, Purpose: PurposeOwnership}}
	for _, token := range tokens {
		records = append(records, Record{
			Type: dns.TypeCNAME, Name: token + "._domainkey." + d.Name, Value: token + ".dkim.amazonses.com", Purpose: PurposeDKIM,
		})
	}
	records = append(records,
		Record{Type: dns.TypeMX, Name: mailFrom, Value: "10 feedback-smtp." + region + ".amazonses.com", Purpose: PurposeMailFrom},
		Record{Type: dns.TypeTXT, Name: mailFrom, Value: "v=spf1 include:" + spfInclude + " ~all", Purpose: PurposeSPF},
		Record{Type: dns.TypeTXT, Name: "_dmarc." + d.Name, Value: "v=DMARC1; p=none;", Purpose: PurposeDMARC},
	)
	for i := range records {
		records[i].TTL = recordTTL
		records[i].Required = records[i].Purpose != PurposeDMARC
		records[i].Status = RecordPending
		records[i].Observed = []string{}
	}
	return records
}

func (r *Record) applyObservation(seen []observation) {
	for _, o := range seen {
		if o.Type == r.Type && o.Name == r.Name {
			r.Status = o.Status
			r.Observed = append([]string{}, o.Observed...)
		}
	}
}

func observations(records []Record) []observation {
	seen := make([]observation, 0, len(records))
	for _, r := range records {
		seen = append(seen, observation{Type: r.Type, Name: r.Name, Status: r.Status, Observed: r.Observed})
	}
	return seen
}
