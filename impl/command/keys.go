package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/store"
)

// maxKeys is how many unrevoked keys an organization may have, here as in the API.
const maxKeys = 100

// revokedShown is how long revoked keys are listed.
const revokedShown = 90 * 24 * time.Hour

type keyCommand struct {
	Create keyCreate `cmd:"" help:"Create an API key, and print it this once."`
	List   keyList   `cmd:"" help:"List the API keys of an organization."`
	Revoke keyRevoke `cmd:"" help:"Revoke an API key, at once and for good."`
}

type keyCreate struct {
	Organization string     `name:"org" required:"" placeholder:"ORG" help:"Id or name of the organization."`
	Name         string     `required:"" help:"Its name, 1 to 100 characters, different from the organization's other keys."`
	Scopes       []string   `name:"scope" enum:"${scopes}" placeholder:"SCOPE" help:"What it may do; repeat for several, leave out for all: ${scope_list}."`
	ExpiresAt    *time.Time `placeholder:"TIME" help:"When it stops working, as 2027-01-31T12:00:00Z. Default: never."`
	adminFlags
	jsonFlags
}

// Help is shown by --help.
func (*keyCreate) Help() string {
	return `Only a hash of the key is stored: whoever loses it needs a new one. Without --json nothing but the key is printed.`
}

// Run creates the key.
func (c *keyCreate) Run(ctx context.Context, process *Process) error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	if c.ExpiresAt != nil && !c.ExpiresAt.After(process.Now()) {
		return usagef("--expires-at is not in the future")
	}
	secret, err := apikey.New(process.Random)
	if err != nil {
		return fmt.Errorf("make an API key: %w", err)
	}
	return c.with(ctx, func(database *store.Store) error {
		owner, err := findOrganization(ctx, database.Queries(), c.Organization)
		if err != nil {
			return err
		}
		row, err := createKey(ctx, database, db.APIKeyInsertParams{
			ID:             process.newID(),
			OrganizationID: owner.ID,
			Name:           c.Name,
			Scopes:         orAllScopes(c.Scopes),
			ExpiresAt:      c.ExpiresAt,
			CreatedAt:      process.Now(),
		}, secret)
		if err != nil {
			return err
		}
		if c.JSON {
			return process.printJSON(api.CreatedAPIKey{Key: keyOf(row, process.Now()), FullKey: secret.Reveal()})
		}
		return process.printf("%s\n", secret.Reveal())
	})
}

// orAllScopes is the scopes given, each once and in the documented order; all of them when none is given.
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

// createKey stores the key. It holds the organization while it counts, so that the limit also holds together with
// keys that are created through the API at the same time.
func createKey(ctx context.Context, database *store.Store, insert db.APIKeyInsertParams, secret apikey.Key) (db.APIKey, error) {
	insert.Prefix, insert.SecretHash = secret.Prefix, secret.Hash()
	var row db.APIKey
	err := database.Tx(ctx, func(tx *db.Queries) error {
		if err := tx.OrganizationLock(ctx, insert.OrganizationID); err != nil {
			return err
		}
		count, err := tx.APIKeyCountUnrevoked(ctx, insert.OrganizationID)
		if err != nil {
			return err
		}
		if count >= maxKeys {
			return fmt.Errorf("the organization has %d unrevoked keys, the most that it may have", count)
		}
		row, err = tx.APIKeyInsert(ctx, insert)
		return err
	})
	if store.Constraint(err) == store.ConstraintAPIKeysName {
		return row, fmt.Errorf("the organization has an unrevoked key %q already", insert.Name)
	}
	if err != nil {
		return row, fmt.Errorf("create the API key: %w", err)
	}
	return row, nil
}

type keyList struct {
	Organization string `name:"org" required:"" placeholder:"ORG" help:"Id or name of the organization."`
	adminFlags
	jsonFlags
}

// Run lists the keys, the newest first.
func (c *keyList) Run(ctx context.Context, process *Process) error {
	return c.with(ctx, func(database *store.Store) error {
		rows, err := listKeys(ctx, process, database.Queries(), c.Organization)
		if err != nil {
			return err
		}
		listed := make([]api.APIKey, len(rows))
		table := [][]string{{"ID", "NAME", "KEY", "ACTIVE", "EXPIRES", "REVOKED", "LAST USED", "SCOPES"}}
		for i, row := range rows {
			listed[i] = keyOf(row, process.Now())
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
			return process.printJSON(listed)
		}
		return process.printTable(table...)
	})
}

func listKeys(ctx context.Context, process *Process, queries *db.Queries, organization string) ([]db.APIKey, error) {
	owner, err := findOrganization(ctx, queries, organization)
	if err != nil {
		return nil, err
	}
	rows, err := queries.APIKeyList(ctx, db.APIKeyListParams{
		OrganizationID: owner.ID, RevokedAfter: process.Now().Add(-revokedShown),
	})
	if err != nil {
		return nil, fmt.Errorf("list the API keys: %w", err)
	}
	return rows, nil
}

type keyRevoke struct {
	Organization string `name:"org" required:"" placeholder:"ORG" help:"Id or name of the organization."`
	Key          string `arg:"" help:"Id, prefix or name of the key."`
	adminFlags
}

// Run revokes the key; doing so again changes nothing.
func (c *keyRevoke) Run(ctx context.Context, process *Process) error {
	return c.with(ctx, func(database *store.Store) error {
		rows, err := listKeys(ctx, process, database.Queries(), c.Organization)
		if err != nil {
			return err
		}
		key, found := pickKey(rows, c.Key)
		if !found {
			return fmt.Errorf("the organization has no key %q (see mailstack key list)", c.Key)
		}
		if _, err := database.Queries().APIKeyRevoke(ctx, db.APIKeyRevokeParams{
			OrganizationID: key.OrganizationID, ID: key.ID, Now: process.Now(),
		}); err != nil {
			return fmt.Errorf("revoke the API key: %w", err)
		}
		return process.printf("revoked %s (%s)\n", apikey.Mask(key.Prefix), key.Name)
	})
}

// pickKey finds a key by its id, its prefix or its name. Of several with the name, at most one is unrevoked: that one.
func pickKey(rows []db.APIKey, wanted string) (db.APIKey, bool) {
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

func keyOf(row db.APIKey, now time.Time) api.APIKey {
	scopes := make([]api.Scope, len(row.Scopes))
	for i, scope := range row.Scopes {
		scopes[i] = api.Scope(scope)
	}
	return api.APIKey{
		ID:         row.ID,
		Name:       row.Name,
		KeyPrefix:  row.Prefix,
		MaskedKey:  apikey.Mask(row.Prefix),
		Scopes:     scopes,
		LastUsedAt: utc(row.LastUsedAt),
		ExpiresAt:  utc(row.ExpiresAt),
		RevokedAt:  utc(row.RevokedAt),
		IsActive:   row.RevokedAt == nil && (row.ExpiresAt == nil || row.ExpiresAt.After(now)),
		CreatedAt:  row.CreatedAt.UTC(),
	}
}
