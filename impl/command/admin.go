package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/organization"
	"github.com/voostack/mailstack/impl/store"
)

// adminFlags find the database of an operator's command.
type adminFlags struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"Postgres: postgres://user:password@host/database. Default: the database of the \"mailstack dev\" that runs on the data folder."`
	dataFolderFlags
}

type jsonFlags struct {
	JSON bool `name:"json" help:"Print JSON, for scripts."`
}

func (flags adminFlags) url() (string, error) {
	if flags.DatabaseURL != "" {
		return flags.DatabaseURL, nil
	}
	url, err := flags.DataDir.read(fileDatabaseURL)
	if err == nil && url == "" {
		err = usagef("no database is named: set DATABASE_URL, or run `mailstack dev` here first")
	}
	return url, err
}

// with opens the database, whose tables must be up to date, for the time that do takes.
func (flags adminFlags) with(ctx context.Context, do func(database *store.Store) error) error {
	url, err := flags.url()
	if err != nil {
		return err
	}
	database, err := store.Open(ctx, store.Config{URL: url, MaxConns: 2, Name: "mailstack command"})
	if err != nil {
		return err
	}
	defer database.Close()
	if err := checkSchema(ctx, database); err != nil {
		return err
	}
	return do(database)
}

func (process *Process) organizations(database *store.Store) organization.Organizations {
	return organization.Organizations{Store: database, Now: process.Now, NewID: process.newID}
}

func (process *Process) keys(database *store.Store) auth.Keys {
	return auth.Keys{Store: database, Now: process.Now, NewID: process.newID, Random: process.Random}
}

// findOrganization finds an organization by its id or its name.
func (process *Process) findOrganization(ctx context.Context, database *store.Store, idOrName string) (db.Organization, error) {
	found, err := process.organizations(database).Find(ctx, idOrName)
	if errors.Is(err, organization.ErrNotFound) {
		return found, fmt.Errorf("there is no organization %q (see mailstack org list)", idOrName)
	}
	return found, err
}

// checkName holds names to what the API demands of them.
func checkName(name string) error {
	if strings.TrimSpace(name) == "" {
		return usagef("the name is blank")
	}
	if utf8.RuneCountInString(name) > 100 {
		return usagef("the name is longer than 100 characters")
	}
	if err := mail.CheckHeaderText(name); err != nil {
		return usagef("the name %w", err)
	}
	return nil
}

func (process *Process) printJSON(value any) error {
	encoder := json.NewEncoder(process.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write to the standard output: %w", err)
	}
	return nil
}

// printTable prints rows below their headings, in columns.
func (process *Process) printTable(rows ...[]string) error {
	table := tabwriter.NewWriter(process.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(table, strings.Join(row, "\t")); err != nil {
			return fmt.Errorf("write to the standard output: %w", err)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write to the standard output: %w", err)
	}
	return nil
}
