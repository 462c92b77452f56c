package operator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/organization"
	"github.com/voostack/mailstack/impl/store"
)

// Organizations is "mailstack org".
type Organizations struct {
	Create  organizationCreate  `cmd:"" help:"Create an organization."`
	List    organizationList    `cmd:"" help:"List the organizations."`
	Suspend organizationSuspend `cmd:"" help:"Suspend an organization: its requests get 403, and its queued messages stay queued."`
	Resume  organizationResume  `cmd:"" help:"Resume an organization that is suspended, or whose sending is paused for bounces or complaints; its queued messages become due at once."`
	Limits  organizationLimits  `cmd:"" help:"Set how many emails an organization may send in a day and in a second."`
	Show    organizationShow    `cmd:"" help:"Show an organization with its rates of bounces and complaints."`
}

// shownOrganization is an organization as the operator's commands print it.
type shownOrganization struct {
	ID                   uuid.UUID  `json:"id"`
	Name                 string     `json:"name"`
	SuspendedAt          *time.Time `json:"suspendedAt"`
	SendingPausedAt      *time.Time `json:"sendingPausedAt"`
	HasPaymentMethod     bool       `json:"hasPaymentMethod"`
	MonthlySpendCapCents *int64     `json:"monthlySpendCapCents"`
	FreeMonthlyAllowance int64      `json:"freeMonthlyAllowance"`
	PricePer1kCents      int64      `json:"pricePer1kCents"`
	DailyLimit           *int64     `json:"dailyLimit"`
	PerSecondLimit       *int64     `json:"perSecondLimit"`
	CreatedAt            time.Time  `json:"createdAt"`
}

type organizationCreate struct {
	Name string `arg:"" help:"Name of the organization, 1 to 100 characters, unique."`
	Flags
	JSONFlags
}

// Run creates the organization.
func (c *organizationCreate) Run(ctx context.Context, process *components.Process) error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	if _, err := uuid.Parse(c.Name); err == nil {
		return components.Usagef("the name has the form of an id, and could be taken for one")
	}
	return c.WithDatabase(ctx, func(database *store.Store) error {
		id, err := process.Organizations(database).Create(ctx, c.Name)
		if errors.Is(err, organization.ErrName) {
			return fmt.Errorf("there is an organization %q already", c.Name)
		}
		if err != nil {
			return err
		}
		return c.show(ctx, process, database, id)
	})
}

func (flags JSONFlags) show(ctx context.Context, process *components.Process, database *store.Store, id uuid.UUID) error {
	row, err := process.Organizations(database).Get(ctx, id)
	if err != nil {
		return err
	}
	if flags.JSON {
		return process.PrintJSON(organizationOf(row))
	}
	return process.PrintTable(organizationHeadings(), organizationRow(row))
}

type organizationList struct {
	Flags
	JSONFlags
}

// Run lists the organizations, the oldest first.
func (c *organizationList) Run(ctx context.Context, process *components.Process) error {
	return c.WithDatabase(ctx, func(database *store.Store) error {
		rows, err := process.Organizations(database).List(ctx)
		if err != nil {
			return err
		}
		listed := make([]shownOrganization, len(rows))
		table := [][]string{organizationHeadings()}
		for i, row := range rows {
			listed[i] = organizationOf(row)
			table = append(table, organizationRow(row))
		}
		if c.JSON {
			return process.PrintJSON(listed)
		}
		return process.PrintTable(table...)
	})
}

type organizationSuspend struct {
	Organization string `arg:"" name:"organization" help:"Id or name of the organization."`
	Flags
	JSONFlags
}

// Run suspends the organization; repeating it keeps the time of the first suspension.
func (c *organizationSuspend) Run(ctx context.Context, process *components.Process) error {
	return c.WithDatabase(ctx, func(database *store.Store) error {
		found, err := findOrganization(ctx, process, database, c.Organization)
		if err != nil {
			return err
		}
		if err := process.Organizations(database).Suspend(ctx, found.ID); err != nil {
			return err
		}
		return c.show(ctx, process, database, found.ID)
	})
}

type organizationResume struct {
	Organization string `arg:"" name:"organization" help:"Id or name of the organization."`
	Flags
	JSONFlags
}

// Run lifts the suspension and every pause, begins the rates anew, and wakes the workers for the organization's queued messages.
func (c *organizationResume) Run(ctx context.Context, process *components.Process) error {
	return c.WithDatabase(ctx, func(database *store.Store) error {
		found, err := findOrganization(ctx, process, database, c.Organization)
		if err != nil {
			return err
		}
		if err := process.Organizations(database).Resume(ctx, found.ID); err != nil {
			return err
		}
		return c.show(ctx, process, database, found.ID)
	})
}

func organizationHeadings() []string {
	return []string{"ID", "NAME", "SUSPENDED", "PAUSED", "PAYMENT METHOD", "CAP (CENTS)", "ALLOWANCE", "PRICE PER 1K (CENTS)", "PER DAY", "PER SECOND"}
}

func organizationRow(row db.Organization) []string {
	limit := "none"
	if row.MonthlySpendCapCents != nil {
		limit = strconv.FormatInt(*row.MonthlySpendCapCents, 10)
	}
	return []string{
		row.ID.String(), row.Name, formatTime(row.SuspendedAt, "no"), formatTime(row.SendingPausedAt, "no"), strconv.FormatBool(row.HasPaymentMethod), limit,
		strconv.FormatInt(row.FreeMonthlyAllowance, 10), strconv.FormatInt(row.PricePer1kCents, 10),
		formatLimit(row.DailyLimit), formatLimit(row.PerSecondLimit),
	}
}

func organizationOf(row db.Organization) shownOrganization {
	return shownOrganization{
		ID:                   row.ID,
		Name:                 row.Name,
		SuspendedAt:          utc(row.SuspendedAt),
		SendingPausedAt:      utc(row.SendingPausedAt),
		HasPaymentMethod:     row.HasPaymentMethod,
		MonthlySpendCapCents: row.MonthlySpendCapCents,
		FreeMonthlyAllowance: row.FreeMonthlyAllowance,
		PricePer1kCents:      row.PricePer1kCents,
		DailyLimit:           row.DailyLimit,
		PerSecondLimit:       row.PerSecondLimit,
		CreatedAt:            row.CreatedAt.UTC(),
	}
}

// utc returns the time in UTC, in which every time is shown.
func utc(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	shown := at.UTC()
	return &shown
}

func formatTime(at *time.Time, none string) string {
	if at == nil {
		return none
	}
	return at.UTC().Format(time.RFC3339)
}
