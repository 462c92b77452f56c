package aws

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/tenancy"
)

type tenants struct {
	On  tenantsOn  `cmd:"" help:"Give every organization a tenant of its own at SES, through which its mail is sent."`
	Off tenantsOff `cmd:"" help:"Send without tenants again; the tenants stay at SES."`
}

type tenantsOn struct {
	components.DatabaseFlags
	components.SESFlags
}

// Help is shown by --help.
func (*tenantsOn) Help() string {
	return `Makes a tenant named org-<id> for every organization that has a verified domain, and associates it with its domains and the configuration set; workers do so for those that come. SES then watches the reputation of each organization apart, and can stop one without stopping the account: the organization's mail waits until SES lets its tenant send again. It is safe to repeat. AWS charges for tenants, and allows 10,000 of them in a region unless it is asked for more.`
}

// Run makes the tenants and switches them on.
func (c *tenantsOn) Run(ctx context.Context, process *components.Process) error {
	return withTenants(ctx, process, c.DatabaseFlags, c.SESFlags, (*tenancy.Service).SwitchOn)
}

type tenantsOff struct {
	components.DatabaseFlags
	components.SESFlags
}

// Run switches the tenants off.
func (c *tenantsOff) Run(ctx context.Context, process *components.Process) error {
	return withTenants(ctx, process, c.DatabaseFlags, c.SESFlags, (*tenancy.Service).SwitchOff)
}

func withTenants(
	ctx context.Context, process *components.Process, database components.DatabaseFlags, account components.SESFlags,
	do func(*tenancy.Service, context.Context) error,
) error {
	if err := database.Check(); err != nil {
		return err
	}
	opened, err := store.Open(ctx, store.Config{URL: database.DatabaseURL, MaxConns: 2, Name: "mailstack command"})
	if err != nil {
		return err
	}
	defer opened.Close()
	if err := components.CheckSchema(ctx, opened); err != nil {
		return err
	}
	client, _, err := components.AWSClients(ctx, account)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(process.Stderr, nil))
	if err := do(&tenancy.Service{Store: opened, SES: client, Now: process.Now, Log: log}, ctx); err != nil {
		return err
	}
	on, err := opened.Queries().TenancyIsOn(ctx)
	if err != nil {
		return fmt.Errorf("read whether tenants are on: %w", err)
	}
	count, err := opened.Queries().TenantCount(ctx)
	if err != nil {
		return fmt.Errorf("count the tenants: %w", err)
	}
	state := map[bool]string{true: "on", false: "off"}[on]
	return process.Printf("tenants are %s: %d organizations have one, %d of them disabled by SES\n", state, count.Tenants, count.Disabled)
}
