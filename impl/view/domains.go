package view

import (
	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/domain"
)

// Domain returns a domain with its DNS records.
func Domain(view domain.View) api.Domain {
	records := make([]api.DNSRecord, 0, len(view.Records))
	for _, record := range view.Records {
		records = append(records, api.DNSRecord{
			Type:     api.DNSRecordType(record.Type),
			Name:     record.Name,
			Value:    record.Value,
			TTL:      record.TTL,
			Purpose:  api.DNSRecordPurpose(record.Purpose),
			Required: record.Required,
			Status:   api.DNSRecordStatus(record.Status),
			Observed: append([]string{}, record.Observed...),
		})
	}
	return api.Domain{
		ID:                   view.ID,
		Domain:               view.Name,
		Status:               api.DomainStatus(view.Status),
		StatusReason:         view.StatusReason,
		CustomMailFromDomain: view.MailFromDomain,
		DNSRecords:           records,
		VerifiedAt:           TimeOrNull(view.VerifiedAt),
		LastCheckedAt:        TimeOrNull(view.CheckedAt),
		CreatedAt:            Time(view.CreatedAt),
	}
}
