package command

import (
	"context"

	"github.com/voostack/mailstack/impl/command/operator"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/store"
)

type migrateCommand struct {
	operator.Flags
	operator.JSONFlags
	components.LogFlags
}

// Help is shown by --help.
func (*migrateCommand) Help() string {
	return `Safe to repeat, and to run from several places at once. The previous version of the binary still runs on the migrated database, so migrate first and then replace the processes.`
}

// Run migrates the database.
func (c *migrateCommand) Run(ctx context.Context, process *Process) error {
	url, err := c.URL()
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx, url, c.JSONLogger(process)); err != nil {
		return err
	}
	database, err := store.Open(ctx, store.Config{URL: url, MaxConns: 1, Name: "mailstack migrate"})
	if err != nil {
		return err
	}
	defer database.Close()
	have, _, err := database.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return process.PrintJSON(map[string]int64{"schemaVersion": have})
	}
	return process.Printf("the database has schema version %d\n", have)
}
