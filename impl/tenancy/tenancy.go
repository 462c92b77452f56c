// Package tenancy gives every organization a tenant of its own at SES, so that Amazon too can stop one organization and not
// the account. It is off until an operator switches it on.
//
//   - tenancy.go: [Service]: switching, creating what is missing, reading what SES says
package tenancy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

// batch bounds the organizations whose tenants are made in one run.
const batch = 500

// Service manages the tenants. It is safe for concurrent use, also by several processes.
type Service struct {
	Store *store.Store
	SES   *ses.Client
	Now   func() time.Time
	Log   *slog.Logger
}

// SwitchOn makes the tenants of all organizations that have a verified domain, and then has their mail name them.
func (s *Service) SwitchOn(ctx context.Context) error {
	for {
		made, err := s.makeMissing(ctx)
		if err != nil {
			return err
		}
		if made < batch {
			break
		}
	}
	if err := s.Store.Queries().TenancyOn(ctx, s.Now()); err != nil {
		return fmt.Errorf("switch tenants on: %w", err)
	}
	return s.Sync(ctx)
}

// SwitchOff has mail name no tenant any more. The tenants stay at SES; what they kept from sending goes out.
func (s *Service) SwitchOff(ctx context.Context) error {
	err := s.Store.Tx(ctx, func(tx *db.Queries) error {
		if err := tx.TenancyOff(ctx); err != nil {
			return err
		}
		resumed, err := tx.TenantSetDisabled(ctx, db.TenantSetDisabledParams{Disabled: []uuid.UUID{}, Now: s.Now()})
		if err != nil {
			return err
		}
		return wake(ctx, tx, resumed)
	})
	if err != nil {
		return fmt.Errorf("switch tenants off: %w", err)
	}
	return nil
}

// Sync does what has become necessary: it makes tenants of new organizations, associates new domains, and stores which
// tenants SES has disabled. Where tenants are off it does nothing.
func (s *Service) Sync(ctx context.Context) error {
	on, err := s.Store.Queries().TenancyIsOn(ctx)
	if err != nil {
		return fmt.Errorf("read whether tenants are on: %w", err)
	}
	if !on {
		return nil
	}
	_, failed := s.makeMissing(ctx)
	return errors.Join(failed, s.readDisabled(ctx))
}

// Forget has the associations of a tenant made again, after SES refused a message for want of one.
func (s *Service) Forget(ctx context.Context, organization uuid.UUID) error {
	if err := s.Store.Queries().TenantForget(ctx, organization); err != nil {
		return fmt.Errorf("forget the associations of a tenant: %w", err)
	}
	return nil
}

// makeMissing makes tenants and associations, and returns how many organizations lacked any.
func (s *Service) makeMissing(ctx context.Context) (int, error) {
	missing, err := s.Store.Queries().TenantListMissing(ctx, db.TenantListMissingParams{
		ConfigurationSet: s.SES.ConfigurationSetName(), MaxRows: batch,
	})
	if err != nil {
		return 0, fmt.Errorf("find organizations without tenants: %w", err)
	}
	var failures []error
	for _, row := range missing {
		if err := s.makeTenant(ctx, row); err != nil {
			failures = append(failures, fmt.Errorf("make the tenant of organization %s: %w", row.OrganizationID, err))
		}
	}
	return len(missing), errors.Join(failures...)
}

func (s *Service) makeTenant(ctx context.Context, row db.TenantListMissingRow) error {
	tenant, err := s.SES.EnsureTenant(ctx, ses.TenantName(row.OrganizationID))
	if err != nil {
		return err
	}
	if row.ConfigurationSet != s.SES.ConfigurationSetName() {
		if err := s.SES.AssociateConfigurationSet(ctx, tenant); err != nil {
			return err
		}
	}
	for _, name := range row.Names {
		if err := s.SES.AssociateIdentity(ctx, tenant, name); err != nil {
			return err
		}
	}
	err = s.Store.Queries().TenantSave(ctx, db.TenantSaveParams{
		OrganizationID: row.OrganizationID, Arn: tenant.ARN, ConfigurationSet: s.SES.ConfigurationSetName(), Identities: row.Names,
	})
	if err != nil {
		return fmt.Errorf("store the tenant: %w", err)
	}
	return nil
}

// readDisabled stores which tenants SES does not let send, and wakes the workers when another one may.
func (s *Service) readDisabled(ctx context.Context) error {
	tenants, err := s.SES.ListTenants(ctx)
	if err != nil {
		return fmt.Errorf("read the state of tenants: %w", err)
	}
	disabled := []uuid.UUID{}
	for _, tenant := range tenants {
		if organization, ours := tenant.Organization(); ours && tenant.Disabled {
			disabled = append(disabled, organization)
		}
	}
	changed, err := s.Store.Queries().TenantSetDisabled(ctx, db.TenantSetDisabledParams{Disabled: disabled, Now: s.Now()})
	if err != nil {
		return fmt.Errorf("store the state of tenants: %w", err)
	}
	if len(changed) == 0 {
		return nil
	}
	s.Log.WarnContext(ctx, "SES has disabled, or enabled, tenants", slog.Int("changed", len(changed)), slog.Int("disabled", len(disabled)))
	return wake(ctx, s.Store.Queries(), changed)
}

// wake names organizations to the workers whose messages may be due since long ago.
func wake(ctx context.Context, queries *db.Queries, organizations []uuid.UUID) error {
	if len(organizations) == 0 {
		return nil
	}
	err := queries.SendNotify(ctx, db.SendNotifyParams{DueAt: time.Unix(0, 0), OrganizationIds: organizations})
	if err != nil {
		return fmt.Errorf("wake the workers: %w", err)
	}
	return nil
}
