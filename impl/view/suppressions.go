package view

import (
	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
)

// Suppressions returns suppressed addresses.
func Suppressions(rows []db.Suppression) []api.Suppression {
	suppressions := make([]api.Suppression, 0, len(rows))
	for _, row := range rows {
		suppressions = append(suppressions, api.Suppression{
			Address:   row.AddressKey,
			Reason:    api.SuppressionReason(row.Reason),
			Detail:    row.Detail,
			EmailID:   row.EmailID,
			CreatedAt: row.CreatedAt.UTC(),
		})
	}
	return suppressions
}
