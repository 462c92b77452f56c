package view

import (
	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
)

// Suppressions returns suppressed addresses.
func Suppressions(rows []db.Suppression) []api.Suppression {
	suppressions := make([]api.Suppression, 0, len(rows))
	for _, row := range rows {
		suppressions = append(suppressions, Suppression(row))
	}
	return suppressions
}

// Suppression returns a suppressed address.
func Suppression(row db.Suppression) api.Suppression {
	return api.Suppression{
		Address:   row.AddressKey,
		Reason:    api.SuppressionReason(row.Reason),
		Detail:    row.Detail,
		EmailID:   row.EmailID,
		CreatedAt: Time(row.CreatedAt),
	}
}
