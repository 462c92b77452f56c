package command

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/impl/store"
)

// schemaPoll is how often Postgres is looked for while it is away.
const schemaPoll = 250 * time.Millisecond

// checkSchema fails when the tables are older than the binary. known is false when Postgres cannot be asked now.
func checkSchema(ctx context.Context, database *store.Store) (known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	have, want, err := database.SchemaVersion(ctx)
	switch {
	case store.IsUnavailable(err):
		return false, nil
	case err != nil:
		return false, err
	case have < want:
		return true, fmt.Errorf("the database has schema version %d, and this binary needs %d: run `mailstack migrate` first", have, want)
	}
	return true, nil
}

// requireSchema refuses to start on old tables. While Postgres is away the process starts all the same, answers 503,
// and looks again until it knows.
func requireSchema(ctx context.Context, database *store.Store, log *slog.Logger) (ready func(context.Context) error, err error) {
	known, err := checkSchema(ctx, database)
	if err != nil {
		return nil, err
	}
	if known {
		return func(context.Context) error { return nil }, nil
	}
	log.WarnContext(ctx, "the database does not answer; waiting for it")
	return func(ctx context.Context) error {
		for pause(ctx, schemaPoll) {
			known, err := checkSchema(ctx, database)
			if known && err == nil {
				log.InfoContext(ctx, "the database answers")
			}
			if known || err != nil {
				return err
			}
		}
		return nil
	}, nil
}
