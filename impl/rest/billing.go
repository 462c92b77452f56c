package rest

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/billing"
)

// GetUsage reads the current period.
func (server *Server) GetUsage(ctx context.Context, _ api.GetUsageRequestObject) (api.GetUsageResponseObject, error) {
	period := billing.PeriodAt(server.config.Now())
	row, err := server.config.Store.Queries().UsageGet(ctx, db.UsageGetParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, PeriodKey: period.Key,
	})
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	return api.GetUsage200JSONResponse{Body: usageOf(period, row)}, nil
}

func usageOf(period billing.Period, row db.UsageGetRow) api.Usage {
	account := billing.Usage{Sent: row.EmailsSent, FreeAllowance: row.FreeMonthlyAllowance}
	return api.Usage{
		PeriodKey:            period.Key,
		PeriodStart:          period.Start,
		PeriodEnd:            period.End,
		EmailsSent:           row.EmailsSent,
		FreeMonthlyAllowance: row.FreeMonthlyAllowance,
		FreeRemaining:        account.FreeRemaining(),
		BillableEmails:       account.Billable(),
		PricePer1KCents:      row.PricePer1kCents,
		HasPaymentMethod:     row.HasPaymentMethod,
		MonthlySpendCapCents: row.MonthlySpendCapCents,
	}
}
