package operator

import (
	"context"
	"strconv"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/store"
)

type organizationLimits struct {
	Organization string `arg:"" name:"organization" help:"Id or name of the organization."`
	Daily        string `placeholder:"N" help:"Emails in a day (UTC): a number, 0 for no limit, or default."`
	PerSecond    string `placeholder:"N" help:"Emails in a second, in each process of the API: a number, 0 for no limit, or default."`
	Flags
	JSONFlags
}

// Help is shown by --help.
func (*organizationLimits) Help() string {
	return `An email is one recipient of a message. Beyond a limit requests get 429 with organization-limit. The defaults are the settings $MAILSTACK_ORGANIZATION_DAILY_LIMIT, $MAILSTACK_ORGANIZATION_PER_SECOND_LIMIT and $MAILSTACK_ORGANIZATION_WARM_UP of serve. A change applies at once; an omitted limit stays as it is.`
}

// Run sets the given limits.
func (c *organizationLimits) Run(ctx context.Context, process *components.Process) error {
	if c.Daily == "" && c.PerSecond == "" {
		return components.Usagef("nothing to set: give --daily or --per-second")
	}
	daily, err := readLimit("--daily", c.Daily)
	if err != nil {
		return err
	}
	perSecond, err := readLimit("--per-second", c.PerSecond)
	if err != nil {
		return err
	}
	return c.WithDatabase(ctx, func(database *store.Store) error {
		found, err := findOrganization(ctx, process, database, c.Organization)
		if err != nil {
			return err
		}
		err = process.Organizations(database).SetLimits(ctx, found.ID, func(row db.Organization) db.OrganizationSetLimitsParams {
			changed := db.OrganizationSetLimitsParams{ID: row.ID, DailyLimit: row.DailyLimit, PerSecondLimit: row.PerSecondLimit}
			if c.Daily != "" {
				changed.DailyLimit = daily
			}
			if c.PerSecond != "" {
				changed.PerSecondLimit = perSecond
			}
			return changed
		})
		if err != nil {
			return err
		}
		return c.show(ctx, process, database, found.ID)
	})
}

// defaultLimit is the name of what the settings of serve allow.
const defaultLimit = "default"

// readLimit reads a limit. Nil is the default.
func readLimit(flag, given string) (*int64, error) {
	if given == "" || given == defaultLimit {
		return nil, nil
	}
	limit, err := strconv.ParseInt(given, 10, 64)
	if err != nil || limit < 0 {
		return nil, components.Usagef("%s is %q: give a number, 0 for no limit, or default", flag, given)
	}
	return &limit, nil
}

func formatLimit(limit *int64) string {
	switch {
	case limit == nil:
		return defaultLimit
	case *limit == 0:
		return "none"
	}
	return strconv.FormatInt(*limit, 10)
}
