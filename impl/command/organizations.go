package command

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/billing"
	"github.com/voostack/mailstack/impl/store"
)

type organizationCommand struct {
	Create  organizationCreate  `cmd:"" help:"Create an organization."`
	List    organizationList    `cmd:"" help:"List the organizations."`
	Suspend organizationSuspend `cmd:"" help:"Stop an organization: its requests get 403, and its waiting messages wait."`
	Resume  organizationResume  `cmd:"" help:"Let a suspended organization go on; its waiting messages go out at once."`
}

// organization is an organization as the operator sees it.
type organization struct {
	ID                   uuid.UUID  `json:"id"`
	Name                 string     `json:"name"`
	SuspendedAt          *time.Time `json:"suspendedAt"`
	HasPaymentMethod     bool       `json:"hasPaymentMethod"`
	MonthlySpendCapCents *int64     `json:"monthlySpendCapCents"`
	FreeMonthlyAllowance int64      `json:"freeMonthlyAllowance"`
	PricePer1kCents      int64      `json:"pricePer1kCents"`
	CreatedAt            time.Time  `json:"createdAt"`
}

type organizationCreate struct {
	Name string `arg:"" help:"Its name, 1 to 100 characters, different from all others."`
	adminFlags
	jsonFlags
}

// Run creates the organization.
func (c *organizationCreate) Run(ctx context.Context, process *Process) error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	if _, err := uuid.Parse(c.Name); err == nil {
		return usagef("the name has the form of an id, and could be taken for one")
	}
	return c.with(ctx, func(database *store.Store) error {
		id, err := createOrganization(ctx, process, database.Queries(), c.Name)
		if store.Constraint(err) == store.ConstraintOrganizationsName {
			return fmt.Errorf("there is an organization %q already", c.Name)
		}
		if err != nil {
			return err
		}
		return c.show(ctx, process, database, id)
	})
}

func (flags jsonFlags) show(ctx context.Context, process *Process, database *store.Store, id uuid.UUID) error {
	row, err := database.Queries().OrganizationGet(ctx, id)
	if err != nil {
		return fmt.Errorf("read the organization: %w", err)
	}
	if flags.JSON {
		return process.printJSON(organizationOf(row))
	}
	return process.printTable(organizationHeadings(), organizationRow(row))
}

// createOrganization creates one with the prices of a new customer.
func createOrganization(ctx context.Context, process *Process, queries *db.Queries, name string) (uuid.UUID, error) {
	id := process.newID()
	err := queries.OrganizationInsert(ctx, db.OrganizationInsertParams{
		ID:                   id,
		Name:                 name,
		FreeMonthlyAllowance: billing.DefaultFreeAllowance,
		PricePer1kCents:      billing.DefaultPricePer1kCents,
		CreatedAt:            process.Now(),
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("create the organization: %w", err)
	}
	return id, nil
}

type organizationList struct {
	adminFlags
	jsonFlags
}

// Run lists the organizations, the oldest first.
func (c *organizationList) Run(ctx context.Context, process *Process) error {
	return c.with(ctx, func(database *store.Store) error {
		rows, err := database.Queries().OrganizationList(ctx)
		if err != nil {
			return fmt.Errorf("list the organizations: %w", err)
		}
		listed := make([]organization, len(rows))
		table := [][]string{organizationHeadings()}
		for i, row := range rows {
			listed[i] = organizationOf(row)
			table = append(table, organizationRow(row))
		}
		if c.JSON {
			return process.printJSON(listed)
		}
		return process.printTable(table...)
	})
}

type organizationSuspend struct {
	Organization string `arg:"" name:"organization" help:"Its id or its name."`
	adminFlags
	jsonFlags
}

// Run suspends the organization; doing so again keeps the first time.
func (c *organizationSuspend) Run(ctx context.Context, process *Process) error {
	return c.with(ctx, func(database *store.Store) error {
		found, err := findOrganization(ctx, database.Queries(), c.Organization)
		if err != nil {
			return err
		}
		_, err = database.Queries().OrganizationSuspend(ctx, db.OrganizationSuspendParams{ID: found.ID, Now: process.Now()})
		if err != nil {
			return fmt.Errorf("suspend the organization: %w", err)
		}
		return c.show(ctx, process, database, found.ID)
	})
}

type organizationResume struct {
	Organization string `arg:"" name:"organization" help:"Its id or its name."`
	adminFlags
	jsonFlags
}

// Run lifts the suspension and wakes the workers for what has waited meanwhile.
func (c *organizationResume) Run(ctx context.Context, process *Process) error {
	return c.with(ctx, func(database *store.Store) error {
		found, err := findOrganization(ctx, database.Queries(), c.Organization)
		if err != nil {
			return err
		}
		err = database.Tx(ctx, func(tx *db.Queries) error {
			if _, err := tx.OrganizationResume(ctx, found.ID); err != nil {
				return err
			}
			if err := tx.SendDueNow(ctx, db.SendDueNowParams{OrganizationID: found.ID, Now: process.Now()}); err != nil {
				return err
			}
			return tx.SendNotify(ctx)
		})
		if err != nil {
			return fmt.Errorf("resume the organization: %w", err)
		}
		return c.show(ctx, process, database, found.ID)
	})
}

func organizationHeadings() []string {
	return []string{"ID", "NAME", "SUSPENDED", "PAYMENT METHOD", "CAP (CENTS)", "ALLOWANCE", "PRICE PER 1K (CENTS)"}
}

func organizationRow(row db.Organization) []string {
	limit := "none"
	if row.MonthlySpendCapCents != nil {
		limit = strconv.FormatInt(*row.MonthlySpendCapCents, 10)
	}
	return []string{
		row.ID.String(), row.Name, formatTime(row.SuspendedAt, "no"), strconv.FormatBool(row.HasPaymentMethod), limit,
		strconv.FormatInt(row.FreeMonthlyAllowance, 10), strconv.FormatInt(row.PricePer1kCents, 10),
	}
}

func organizationOf(row db.Organization) organization {
	return organization{
		ID:                   row.ID,
		Name:                 row.Name,
		SuspendedAt:          utc(row.SuspendedAt),
		HasPaymentMethod:     row.HasPaymentMethod,
		MonthlySpendCapCents: row.MonthlySpendCapCents,
		FreeMonthlyAllowance: row.FreeMonthlyAllowance,
		PricePer1kCents:      row.PricePer1kCents,
		CreatedAt:            row.CreatedAt.UTC(),
	}
}

// utc is how every time is shown.
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
