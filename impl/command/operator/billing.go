package operator

import (
	"context"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/store"
)

// Billing is "mailstack billing".
type Billing struct {
	Set BillingSet `cmd:"" help:"Change payment method, spend cap, allowance or price of an organization."`
}

// BillingSet is "mailstack billing set".
type BillingSet struct {
	Organization    string `name:"org" required:"" placeholder:"ORG" help:"Id or name of the organization."`
	PaymentMethod   *bool  `placeholder:"BOOL" help:"Whether emails beyond the allowance can be billed: --payment-method, --payment-method=false. Applies at once."`
	CapCents        *int64 `xor:"cap" placeholder:"N" help:"Monthly spend cap, in cents. Applies at once."`
	NoCap           bool   `xor:"cap" help:"Remove the monthly spend cap. Applies at once."`
	Allowance       *int64 `placeholder:"N" help:"Free emails per month. Applies from the next period."`
	PricePer1kCents *int64 `name:"price-per-1k-cents" placeholder:"N" help:"Price of 1,000 emails beyond the allowance, in cents. Applies from the next period."`
	Flags
	JSONFlags
}

// Help is shown by --help.
func (*BillingSet) Help() string {
	return `A period is a calendar month in UTC. Allowance and price of a period are fixed when its first email is accepted, so a change applies from the next period (or in this one, if no email was accepted in it yet). Payment method and cap apply at once. Omitted settings stay as they are.`
}

func (c *BillingSet) check() error {
	if c.PaymentMethod == nil && c.CapCents == nil && !c.NoCap && c.Allowance == nil && c.PricePer1kCents == nil {
		return components.Usagef("nothing to set: give --payment-method, --cap-cents, --no-cap, --allowance or --price-per-1k-cents")
	}
	for name, value := range map[string]*int64{
		"--cap-cents": c.CapCents, "--allowance": c.Allowance, "--price-per-1k-cents": c.PricePer1kCents,
	} {
		if value != nil && *value < 0 {
			return components.Usagef("%s is below zero", name)
		}
	}
	return nil
}

// Run changes the given settings.
func (c *BillingSet) Run(ctx context.Context, process *components.Process) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.WithDatabase(ctx, func(database *store.Store) error {
		found, err := findOrganization(ctx, process, database, c.Organization)
		if err != nil {
			return err
		}
		if err := process.Organizations(database).SetBilling(ctx, found.ID, c.Change); err != nil {
			return err
		}
		return c.show(ctx, process, database, found.ID)
	})
}

// Change returns the terms of an organization with the given settings.
func (c *BillingSet) Change(row db.Organization) db.OrganizationBillingUpdateParams {
	changed := db.OrganizationBillingUpdateParams{
		ID:                   row.ID,
		HasPaymentMethod:     row.HasPaymentMethod,
		MonthlySpendCapCents: row.MonthlySpendCapCents,
		FreeMonthlyAllowance: row.FreeMonthlyAllowance,
		PricePer1kCents:      row.PricePer1kCents,
	}
	if c.PaymentMethod != nil {
		changed.HasPaymentMethod = *c.PaymentMethod
	}
	if c.CapCents != nil || c.NoCap {
		changed.MonthlySpendCapCents = c.CapCents
	}
	if c.Allowance != nil {
		changed.FreeMonthlyAllowance = *c.Allowance
	}
	if c.PricePer1kCents != nil {
		changed.PricePer1kCents = *c.PricePer1kCents
	}
	return changed
}
