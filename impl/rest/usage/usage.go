package usage

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/billing"
	"github.com/voostack/mailstack/impl/view"
)

// GetUsage reads the current period.
func (ops *Operations) GetUsage(ctx context.Context, _ api.GetUsageRequestObject) (api.GetUsageResponseObject, error) {
	period := billing.PeriodAt(ops.Now())
	row, err := ops.Store.Queries().UsageGet(ctx, db.UsageGetParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, PeriodKey: period.Key,
	})
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	return api.GetUsage200JSONResponse{Body: view.Usage(period, row)}, nil
}
