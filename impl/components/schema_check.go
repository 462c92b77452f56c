package components

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/store"
)

// schemaPoll is the interval between checks while Postgres is unavailable.
const schemaPoll = 250 * time.Millisecond

// CheckSchema fails if the schema is older than the binary, or Postgres is unavailable (store.IsUnavailable).
func CheckSchema(ctx context.Context, database *store.Store) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	have, want, err := database.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if have < want {
		return fmt.Errorf("the database has schema version %d, and this binary needs %d: run `mailstack migrate` first", have, want)
	}
	return nil
}

// RequireSchema fails if the schema is older than the binary. If Postgres is unavailable, the process starts anyway and
// responds with 503; ready then checks again until Postgres is back.
func RequireSchema(ctx context.Context, database *store.Store, log *slog.Logger) (ready func(context.Context) error, err error) {
	err = CheckSchema(ctx, database)
	if err == nil {
		return func(context.Context) error { return nil }, nil
	}
	if !store.IsUnavailable(err) {
		return nil, err
	}
	log.WarnContext(ctx, "database unavailable; waiting for it", slog.Any("error", err))
	return func(ctx context.Context) error { return awaitSchema(ctx, database, log) }, nil
}

func awaitSchema(ctx context.Context, database *store.Store, log *slog.Logger) error {
	for backoff.Sleep(ctx, schemaPoll) == nil {
		err := CheckSchema(ctx, database)
		if ctx.Err() != nil || store.IsUnavailable(err) {
			continue
		}
		if err == nil {
			log.InfoContext(ctx, "database available")
		}
		return err
	}
	return nil
}
