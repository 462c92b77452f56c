package sesevents

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/gen/db"
)

// DeleteExpired deletes the settled notifications that are older than notificationRetention, and what was set aside longer
// than setAsideRetention ago.
func (r *Recorder) DeleteExpired(ctx context.Context) error {
	if err := r.config.Store.Queries().SetAsideDeleteExpired(ctx, r.config.Now().Add(-setAsideRetention)); err != nil {
		return fmt.Errorf("drop what was set aside: %w", err)
	}
	for {
		dropped, err := r.config.Store.Queries().NotificationDeleteExpired(ctx, db.NotificationDeleteExpiredParams{
			Before: r.config.Now().Add(-notificationRetention), MaxRows: notificationBatchSize,
		})
		if err != nil {
			return fmt.Errorf("drop settled notifications: %w", err)
		}
		if dropped < notificationBatchSize {
			return nil
		}
	}
}
