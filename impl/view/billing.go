package view

import (
	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/billing"
)

// Usage returns the usage of a period.
func Usage(period billing.Period, row db.UsageGetRow) api.Usage {
	account := billing.Usage{Sent: row.EmailsSent, FreeAllowance: row.FreeMonthlyAllowance}
	return api.Usage{
		PeriodKey:            period.Key,
		PeriodStart:          Time(period.Start),
		PeriodEnd:            Time(period.End),
		EmailsSent:           row.EmailsSent,
		FreeMonthlyAllowance: row.FreeMonthlyAllowance,
		FreeRemaining:        account.FreeRemaining(),
		BillableEmails:       account.Billable(),
		PricePer1KCents:      row.PricePer1kCents,
		HasPaymentMethod:     row.HasPaymentMethod,
		MonthlySpendCapCents: row.MonthlySpendCapCents,
	}
}
