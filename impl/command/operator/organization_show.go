package operator

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/store"
)

type organizationShow struct {
	Organization string `arg:"" name:"organization" help:"Id or name of the organization."`
	Flags
	JSONFlags
}

// Help is shown by --help.
func (*organizationShow) Help() string {
	return `The rates are of the last 7 days and as they were last computed, a few minutes ago. An organization without bounces and complaints has none.`
}

// shownReputation holds the rates of an organization, or of a domain, as the operator's commands print them.
type shownReputation struct {
	Domain     *string    `json:"domain"`
	Recipients int64      `json:"recipients"`
	Bounced    int64      `json:"bounced"`
	Complained int64      `json:"complained"`
	WarnedAt   *time.Time `json:"warnedAt"`
	PausedAt   *time.Time `json:"pausedAt"`
	ComputedAt *time.Time `json:"computedAt"`
}

// Run shows the organization.
func (c *organizationShow) Run(ctx context.Context, process *components.Process) error {
	return c.WithDatabase(ctx, func(database *store.Store) error {
		found, err := findOrganization(ctx, process, database, c.Organization)
		if err != nil {
			return err
		}
		rates, err := database.Queries().ReputationList(ctx, found.ID)
		if err != nil {
			return fmt.Errorf("read the rates of the organization: %w", err)
		}
		if c.JSON {
			return process.PrintJSON(struct {
				shownOrganization
				Reputation []shownReputation `json:"reputation"`
			}{organizationOf(found), reputationsOf(rates)})
		}
		if err := process.PrintTable(organizationHeadings(), organizationRow(found)); err != nil || len(rates) == 0 {
			return err
		}
		table := [][]string{{"RATES OF", "RECIPIENTS", "BOUNCED", "COMPLAINED", "WARNED", "PAUSED"}}
		for _, row := range rates {
			table = append(table, reputationRow(row))
		}
		if err := process.Printf("\n"); err != nil {
			return err
		}
		return process.PrintTable(table...)
	})
}

func reputationsOf(rows []db.Reputation) []shownReputation {
	shown := make([]shownReputation, len(rows))
	for i, row := range rows {
		shown[i] = shownReputation{
			Recipients: row.Recipients, Bounced: row.Bounced, Complained: row.Complained,
			WarnedAt: utc(row.WarnedAt), PausedAt: utc(row.PausedAt), ComputedAt: utc(row.ComputedAt),
		}
		if row.Domain != "" {
			shown[i].Domain = &row.Domain
		}
	}
	return shown
}

func reputationRow(row db.Reputation) []string {
	of := func(part int64) string {
		if row.Recipients == 0 {
			return strconv.FormatInt(part, 10)
		}
		return fmt.Sprintf("%d (%.2f%%)", part, 100*float64(part)/float64(row.Recipients))
	}
	return []string{
		cmp.Or(row.Domain, "all mail"), strconv.FormatInt(row.Recipients, 10), of(row.Bounced), of(row.Complained),
		formatTime(row.WarnedAt, "no"), formatTime(row.PausedAt, "no"),
	}
}
