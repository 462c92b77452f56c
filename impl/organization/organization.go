// Package organization implements what an operator does with organizations: create, suspend, resume, change billing
// terms. Every operator interface calls it, such as the command line.
//
//   - organization.go: [Organizations], creating, finding and suspending
//   - resume.go: lifting a suspension, and a pause for bounces or complaints
package organization

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/billing"
	"github.com/voostack/mailstack/impl/store"
)

var (
	// ErrNotFound is returned when there is no such organization.
	ErrNotFound = errors.New("there is no such organization")
	// ErrName is returned when another organization has the name.
	ErrName = errors.New("another organization has this name already")
)

// Organizations manages the organizations of the installation.
type Organizations struct {
	Store *store.Store
	Now   func() time.Time
	NewID func() uuid.UUID
}

// Create makes an organization with the prices of a new customer. It returns [ErrName].
func (o Organizations) Create(ctx context.Context, name string) (uuid.UUID, error) {
	return o.Insert(ctx, o.Store.Queries(), name)
}

// Insert is [Organizations.Create] within a transaction.
func (o Organizations) Insert(ctx context.Context, tx *db.Queries, name string) (uuid.UUID, error) {
	id := o.NewID()
	err := tx.OrganizationInsert(ctx, db.OrganizationInsertParams{
		ID:                   id,
		Name:                 name,
		FreeMonthlyAllowance: billing.DefaultFreeAllowance,
		PricePer1kCents:      billing.DefaultPricePer1kCents,
		CreatedAt:            o.Now(),
	})
	if store.Constraint(err) == store.ConstraintOrganizationsName {
		return uuid.Nil, ErrName
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("create the organization: %w", err)
	}
	return id, nil
}

// Find returns the organization with an id or a name, or [ErrNotFound]. A name never has the form of an id.
func (o Organizations) Find(ctx context.Context, idOrName string) (db.Organization, error) {
	var row db.Organization
	id, err := uuid.Parse(idOrName)
	if err == nil {
		row, err = o.Store.Queries().OrganizationGet(ctx, id)
	} else {
		row, err = o.Store.Queries().OrganizationGetByName(ctx, idOrName)
	}
	if store.IsNoRows(err) {
		return row, ErrNotFound
	}
	if err != nil {
		return row, fmt.Errorf("read the organization: %w", err)
	}
	return row, nil
}

// Get returns the organization with an id, or [ErrNotFound].
func (o Organizations) Get(ctx context.Context, id uuid.UUID) (db.Organization, error) {
	return o.Find(ctx, id.String())
}

// List returns all organizations, the oldest first.
func (o Organizations) List(ctx context.Context) ([]db.Organization, error) {
	rows, err := o.Store.Queries().OrganizationList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the organizations: %w", err)
	}
	return rows, nil
}

// Suspend stops an organization: its requests get 403 and its queued messages wait. If it is suspended already,
// its suspension time stays.
func (o Organizations) Suspend(ctx context.Context, id uuid.UUID) error {
	if _, err := o.Store.Queries().OrganizationSuspend(ctx, db.OrganizationSuspendParams{ID: id, Now: o.Now()}); err != nil {
		return fmt.Errorf("suspend the organization: %w", err)
	}
	return nil
}

// SetBilling changes the billing terms of an organization: change gets the organization and returns the new terms.
// The organization is locked meanwhile, so that two operators who change different terms at once both succeed.
func (o Organizations) SetBilling(
	ctx context.Context, id uuid.UUID, change func(current db.Organization) db.OrganizationBillingUpdateParams,
) error {
	err := o.Store.Tx(ctx, func(tx *db.Queries) error {
		if err := tx.OrganizationLock(ctx, id); err != nil {
			return err
		}
		row, err := tx.OrganizationGet(ctx, id)
		if err != nil {
			return err
		}
		_, err = tx.OrganizationBillingUpdate(ctx, change(row))
		return err
	})
	if err != nil {
		return fmt.Errorf("change the billing: %w", err)
	}
	return nil
}

// SetLimits changes how many emails an organization may send, as [Organizations.SetBilling] changes its billing terms.
func (o Organizations) SetLimits(
	ctx context.Context, id uuid.UUID, change func(current db.Organization) db.OrganizationSetLimitsParams,
) error {
	err := o.Store.Tx(ctx, func(tx *db.Queries) error {
		if err := tx.OrganizationLock(ctx, id); err != nil {
			return err
		}
		row, err := tx.OrganizationGet(ctx, id)
		if err != nil {
			return err
		}
		_, err = tx.OrganizationSetLimits(ctx, change(row))
		return err
	})
	if err != nil {
		return fmt.Errorf("change the limits: %w", err)
	}
	return nil
}
