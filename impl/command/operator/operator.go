// Package operator has the commands of an operator, which work on the database.
//
//   - operator.go: what they share
//   - organizations.go, organization_limits.go, organization_show.go: organizations
//   - keys.go, billing.go: API keys, and the terms of billing
//   - secret_key.go: encrypting what is stored under a new secret key
package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/command/datafolder"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/organization"
	"github.com/voostack/mailstack/impl/store"
)

// Flags find the database of an operator's command.
type Flags struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"Postgres URL: postgres://user:password@host/database. Default: the database of the \"mailstack dev\" that runs on the data folder."`
	datafolder.Flags
}

// JSONFlags choose how results are printed.
type JSONFlags struct {
	JSON bool `name:"json" help:"Print JSON, for scripts."`
}

// URL returns the URL of the database: the given one, or the database of the "mailstack dev" which runs on the data folder.
func (flags Flags) URL() (string, error) {
	if flags.DatabaseURL != "" {
		return flags.DatabaseURL, nil
	}
	url, err := flags.DataDir.Read(datafolder.DatabaseURL)
	if err == nil && url == "" {
		err = components.Usagef("no database URL: set DATABASE_URL, or run `mailstack dev` here first")
	}
	return url, err
}

// WithDatabase calls do with the opened database. It fails if the schema is older than the binary.
func (flags Flags) WithDatabase(ctx context.Context, do func(database *store.Store) error) error {
	url, err := flags.URL()
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
func findOrganization(ctx context.Context, process *components.Process, database *store.Store, idOrName string) (db.Organization, error) {
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
