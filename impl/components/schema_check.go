package components

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/store"
)

// schemaPoll is how often Postgres is looked for while it is away.
const schemaPoll = 250 * time.Millisecond

// CheckSchema fails when the tables are older than the binary, or Postgres cannot be asked (store.IsUnavailable).
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

// RequireSchema refuses to start on old tables. While Postgres is away the process starts all the same, answers 503,
// and looks again until it knows.
func RequireSchema(ctx context.Context, database *store.Store, log *slog.Logger) (ready func(context.Context) error, err error) {
	err = CheckSchema(ctx, database)
	if err == nil {
		return func(context.Context) error { return nil }, nil
	}
	if !store.IsUnavailable(err) {
		return nil, err
	}
	log.WarnContext(ctx, "the database does not answer; waiting for it", slog.Any("error", err))
	return func(ctx context.Context) error { return awaitSchema(ctx, database, log) }, nil
}

func awaitSchema(ctx context.Context, database *store.Store, log *slog.Logger) error {
	for backoff.Sleep(ctx, schemaPoll) == nil {
		err := CheckSchema(ctx, database)
		if ctx.Err() != nil || store.IsUnavailable(err) {
			continue
		}
		if err == nil {
			log.InfoContext(ctx, "the database answers")
		}
		return err
	}
	return nil
}
