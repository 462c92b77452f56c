package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/organization"
	"github.com/voostack/mailstack/impl/store"
)

// operatorFlags find the database of an operator's command.
type operatorFlags struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"Postgres URL: postgres://user:password@host/database. Default: the database of the \"mailstack dev\" that runs on the data folder."`
	Flags
}

type jsonFlags struct {
	JSON bool `name:"json" help:"Print JSON, for scripts."`
}

func (flags operatorFlags) url() (string, error) {
	if flags.DatabaseURL != "" {
		return flags.DatabaseURL, nil
	}
	url, err := flags.DataDir.Read(DatabaseURL)
	if err == nil && url == "" {
		err = components.Usagef("no database URL: set DATABASE_URL, or run `mailstack dev` here first")
	}
	return url, err
}

// withDatabase calls do with the opened database. It fails if the schema is older than the binary.
func (flags operatorFlags) withDatabase(ctx context.Context, do func(database *store.Store) error) error {
	url, err := flags.url()
	if err != nil {
		return err
	}
	database, err := store.Open(ctx, store.Config{URL: url, MaxConns: 2, Name: "mailstack command"})
	if err != nil {
		return err
	}
	defer database.Close()
	if err := components.CheckSchema(ctx, database); err != nil {
		return err
	}
	return do(database)
}

// findOrganization finds an organization by its id or its name.
func findOrganization(ctx context.Context, process *Process, database *store.Store, idOrName string) (db.Organization, error) {
	found, err := process.Organizations(database).Find(ctx, idOrName)
	if errors.Is(err, organization.ErrNotFound) {
		return found, fmt.Errorf("there is no organization %q (see mailstack org list)", idOrName)
	}
	return found, err
}

// checkName returns a usage error for a name that the API would refuse.
func checkName(name string) error {
	if strings.TrimSpace(name) == "" {
		return components.Usagef("the name is blank")
	}
	if utf8.RuneCountInString(name) > 100 {
		return components.Usagef("the name is longer than 100 characters")
	}
	if err := mail.CheckHeaderText(name); err != nil {
		return components.Usagef("the name %w", err)
	}
	return nil
}
