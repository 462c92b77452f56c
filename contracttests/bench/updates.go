package main

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/impl/store"
)

// inPlaceFigures are the percentages of updates that wrote to no index (HOT), of two tables whose rows change with a status.
type inPlaceFigures struct {
	Emails     float64 `json:"emails"`
	Recipients float64 `json:"recipients"`
}

// updatesInPlace returns the percentages of all updates of a database so far, as far as its sessions have reported them.
func updatesInPlace(ctx context.Context, database *store.Store) (inPlaceFigures, error) {
	var found inPlaceFigures
	err := database.Pool().QueryRow(ctx, `
SELECT coalesce(100.0 * sum(n_tup_hot_upd) FILTER (WHERE relname ~ '^emails_') / sum(n_tup_upd) FILTER (WHERE relname ~ '^emails_'), 0)::float8,
    coalesce(100.0 * sum(n_tup_hot_upd) FILTER (WHERE relname ~ '^recipients_') / sum(n_tup_upd) FILTER (WHERE relname ~ '^recipients_'), 0)::float8
FROM pg_stat_user_tables WHERE n_tup_upd > 0`).Scan(&found.Emails, &found.Recipients)
	if err != nil {
		return found, fmt.Errorf("count the updates: %w", err)
	}
	return found, nil
}
