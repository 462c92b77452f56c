package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/view"
)

// Keys is "mailstack key".
type Keys struct {
	Create keyCreate `cmd:"" help:"Create an API key and print it; it cannot be shown again."`
	List   keyList   `cmd:"" help:"List the API keys of an organization."`
	Revoke keyRevoke `cmd:"" help:"Revoke an API key, immediately and permanently."`
}

type keyCreate struct {
	Organization string     `name:"org" required:"" placeholder:"ORG" help:"Id or name of the organization."`
	Name         string     `required:"" help:"Name of the key, 1 to 100 characters, unique among the organization's unrevoked keys."`
	Scopes       []string   `name:"scope" enum:"${scopes}" placeholder:"SCOPE" help:"Scope of the key; repeat for several, omit for all: ${scope_list}."`
	ExpiresAt    *time.Time `placeholder:"TIME" help:"Time at which the key expires, such as 2027-01-31T12:00:00Z. Default: never."`
	Flags
	JSONFlags
}

// Help is shown by --help.
func (*keyCreate) Help() string {
	return `Only a hash of the key is stored, so a lost key cannot be recovered: create a new one. Without --json only the key is printed.`
}

// Run creates the key.
func (c *keyCreate) Run(ctx context.Context, process *components.Process) error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	if c.ExpiresAt != nil && !c.ExpiresAt.After(process.Now()) {
		return components.Usagef("--expires-at is not in the future")
	}
	return c.WithDatabase(ctx, func(database *store.Store) error {
		owner, err := findOrganization(ctx, process, database, c.Organization)
		if err != nil {
			return err
		}
		secret, row, err := process.Keys(database).CreateKey(ctx, auth.NewKey{
			OrganizationID: owner.ID, Name: c.Name, Scopes: orAllScopes(c.Scopes), ExpiresAt: c.ExpiresAt,
		})
		switch {
		case errors.Is(err, auth.ErrKeyName):
			return fmt.Errorf("the organization has an unrevoked key %q already", c.Name)
		case errors.Is(err, auth.ErrKeyLimit):
			return fmt.Errorf("the organization has reached the limit of %d unrevoked keys", auth.MaxKeys)
		case err != nil:
			return err
		}
		if c.JSON {
			return process.PrintJSON(api.CreatedAPIKey{Key: view.APIKey(row, process.Now()), FullKey: secret.Reveal()})
		}
		return process.Printf("%s\n", secret.Reveal())
	})
}

// orAllScopes returns the given scopes, each once and in the documented order, or all scopes if none is given.
func orAllScopes(given []string) []string {
	if len(given) == 0 {
		return apikey.Scopes()
	}
	var scopes []string
	for _, scope := range apikey.Scopes() {
		if apikey.Covers(given, []string{scope}) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

type keyList struct {
	Organization string `name:"org" required:"" placeholder:"ORG" help:"Id or name of the organization."`
	Flags
	JSONFlags
}

// Run lists the keys, the newest first.
func (c *keyList) Run(ctx context.Context, process *components.Process) error {
	return c.WithDatabase(ctx, func(database *store.Store) error {
		rows, err := listKeys(ctx, process, database, c.Organization)
		if err != nil {
			return err
		}
		listed := make([]api.APIKey, len(rows))
		table := [][]string{{"ID", "NAME", "KEY", "ACTIVE", "EXPIRES", "REVOKED", "LAST USED", "SCOPES"}}
		for i, row := range rows {
			listed[i] = view.APIKey(row, process.Now())
			active := "no"
			if listed[i].IsActive {
				active = "yes"
			}
			table = append(table, []string{
				row.ID.String(), row.Name, listed[i].MaskedKey, active, formatTime(row.ExpiresAt, "never"),
				formatTime(row.RevokedAt, "no"), formatTime(row.LastUsedAt, "never"), strings.Join(row.Scopes, ","),
			})
		}
		if c.JSON {
			return process.PrintJSON(listed)
		}
		return process.PrintTable(table...)
	})
}

func listKeys(ctx context.Context, process *components.Process, database *store.Store, organization string) ([]db.APIKey, error) {
	owner, err := findOrganization(ctx, process, database, organization)
	if err != nil {
		return nil, err
	}
	return process.Keys(database).ListKeys(ctx, owner.ID, auth.MaxRevokedListed)
}

type keyRevoke struct {
	Organization string `name:"org" required:"" placeholder:"ORG" help:"Id or name of the organization."`
	Key          string `arg:"" help:"Id, prefix or name of the key."`
	Flags
}

// Run revokes the key; repeating it changes nothing.
func (c *keyRevoke) Run(ctx context.Context, process *components.Process) error {
	return c.WithDatabase(ctx, func(database *store.Store) error {
		rows, err := listKeys(ctx, process, database, c.Organization)
		if err != nil {
			return err
		}
		key, found := PickKey(rows, c.Key)
		if !found {
			return fmt.Errorf("the organization has no key %q (see mailstack key list)", c.Key)
		}
		if _, err := process.Keys(database).RevokeKey(ctx, key.OrganizationID, key.ID); err != nil {
			return err
		}
		return process.Printf("revoked %s (%s)\n", apikey.Mask(key.Prefix), key.Name)
	})
}

// PickKey finds a key by id, prefix or name. Of several keys with the same name it picks the unrevoked one, if any:
// there is at most one.
func PickKey(rows []db.APIKey, wanted string) (db.APIKey, bool) {
	id, notAnID := uuid.Parse(wanted)
	var picked db.APIKey
	found := false
	for _, row := range rows {
		if notAnID == nil && row.ID == id || row.Prefix == wanted {
			return row, true
		}
		if row.Name == wanted && (!found || row.RevokedAt == nil) {
			picked, found = row, true
		}
	}
	return picked, found
}
