package dev

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/command/datafolder"
	"github.com/voostack/mailstack/impl/command/operator"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/view"
)

const (
	organizationName = "dev"
	keyName          = "dev"
	domainName       = "mail.test"
	// verifyTime bounds the wait for the domain, whose DNS and SES are in this process.
	verifyTime = 20 * time.Second
)

// account holds the API key for the first email.
type account struct {
	key apikey.Key
}

// ensureSecretKey reads or makes the key that production has in MAILSTACK_SECRET_KEY: dev encrypts secrets the same
// way.
func (dev *environment) ensureSecretKey() error {
	kept, err := dev.folder.Read(datafolder.SecretKey)
	if err != nil {
		return err
	}
	if kept == "" {
		key := make([]byte, components.SecretKeyBytes)
		if _, err := io.ReadFull(dev.process.Random, key); err != nil {
			return fmt.Errorf("make a secret key: %w", err)
		}
		kept = base64.StdEncoding.EncodeToString(key)
		if err := dev.folder.Write(datafolder.SecretKey, kept); err != nil {
			return err
		}
	}
	if dev.sealer, err = (components.SecretKeyFlags{SecretKey: kept}).Sealer(dev.process.Random); err != nil {
		return fmt.Errorf("%s: %w", dev.folder.Path(datafolder.SecretKey), err)
	}
	return nil
}

// register ensures that there is an organization with a key and a verified domain. What exists stays as it is.
func (dev *environment) register(ctx context.Context) (account, error) {
	organization, err := dev.ensureOrganization(ctx)
	if err != nil {
		return account{}, err
	}
	key, err := dev.ensureKey(ctx, organization)
	if err != nil {
		return account{}, err
	}
	return account{key: key}, dev.ensureDomain(ctx, organization)
}

// ensureOrganization creates the organization with a payment method, so that experiments do not hit the end of the
// allowance by surprise; `mailstack billing set` removes it.
func (dev *environment) ensureOrganization(ctx context.Context) (uuid.UUID, error) {
	found, err := dev.apiStore.Queries().OrganizationGetByName(ctx, organizationName)
	if err == nil {
		return found.ID, nil
	}
	if !store.IsNoRows(err) {
		return uuid.Nil, fmt.Errorf("look for the organization: %w", err)
	}
	var id uuid.UUID
	err = dev.apiStore.Tx(ctx, func(tx *db.Queries) error {
		var err error
		if id, err = dev.process.Organizations(dev.apiStore).Insert(ctx, tx, organizationName); err != nil {
			return err
		}
		row, err := tx.OrganizationGet(ctx, id)
		if err != nil {
			return err
		}
		billed := true
		_, err = tx.OrganizationBillingUpdate(ctx, (&operator.BillingSet{PaymentMethod: &billed}).Change(row))
		return err
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("create the organization: %w", err)
	}
	return id, nil
}

// ensureKey returns the key of the last start. A key that the database does not have is stored again; a key that was
// revoked, or that lacks a scope, is replaced.
func (dev *environment) ensureKey(ctx context.Context, organization uuid.UUID) (apikey.Key, error) {
	kept, err := dev.keptKey()
	if err != nil {
		return apikey.Key{}, err
	}
	if kept != nil {
		row, err := dev.apiStore.Queries().APIKeyGetByPrefix(ctx, kept.Prefix)
		switch {
		case store.IsNoRows(err):
			return *kept, dev.storeKey(ctx, organization, *kept)
		case err != nil:
			return apikey.Key{}, fmt.Errorf("look for the API key: %w", err)
		case dev.usable(row.APIKey, organization, *kept):
			return *kept, nil
		}
	}
	secret, err := apikey.New(dev.process.Random)
	if err != nil {
		return apikey.Key{}, fmt.Errorf("make an API key: %w", err)
	}
	// Write the file first: a key in the database whose secret is lost is of no use.
	if err := dev.folder.Write(datafolder.APIKey, secret.Reveal()); err != nil {
		return apikey.Key{}, err
	}
	return secret, dev.storeKey(ctx, organization, secret)
}

// keptKey returns the key in the data folder, or nil if there is none or it is malformed.
func (dev *environment) keptKey() (*apikey.Key, error) {
	text, err := dev.folder.Read(datafolder.APIKey)
	if err != nil || text == "" {
		return nil, err
	}
	if kept, err := apikey.Parse(text); err == nil {
		return &kept, nil
	}
	dev.log.Warn("replacing the malformed API key in the data folder", "file", dev.folder.Path(datafolder.APIKey))
	return nil, nil
}

func (dev *environment) usable(row db.APIKey, organization uuid.UUID, key apikey.Key) bool {
	return row.OrganizationID == organization && key.Matches(row.SecretHash) &&
		view.APIKey(row, dev.process.Now()).IsActive && len(apikey.Missing(row.Scopes, apikey.Scopes())) == 0
}

// storeKey stores the key after revoking an earlier one of the same name.
func (dev *environment) storeKey(ctx context.Context, organization uuid.UUID, key apikey.Key) error {
	keys := dev.process.Keys(dev.apiStore)
	rows, err := keys.ListKeys(ctx, organization, 0)
	if err != nil {
		return err
	}
	if earlier, found := operator.PickKey(rows, keyName); found {
		if _, err := keys.RevokeKey(ctx, organization, earlier.ID); err != nil {
			return err
		}
	}
	_, err = keys.StoreKey(ctx, auth.NewKey{OrganizationID: organization, Name: keyName, Scopes: apikey.Scopes()}, key)
	return err
}

// ensureDomain registers and verifies the domain as the API does.
func (dev *environment) ensureDomain(ctx context.Context, organization uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	domains := dev.parts.Domains(dev.apiStore)
	view, err := findDomain(ctx, domains, organization)
	if errors.Is(err, domain.ErrNotFound) {
		view, err = domains.Create(ctx, organization, domainName, "")
	}
	for err == nil && view.Status != domain.StatusVerified {
		if view, err = domains.Verify(ctx, organization, view.ID); err == nil && view.Status != domain.StatusVerified {
			if backoff.Sleep(ctx, 50*time.Millisecond) != nil {
				return fmt.Errorf("the domain %s was not verified in time", domainName)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("register the domain %s: %w", domainName, err)
	}
	return nil
}

func findDomain(ctx context.Context, domains *domain.Service, organization uuid.UUID) (domain.View, error) {
	views, err := domains.List(ctx, organization)
	if err != nil {
		return domain.View{}, err
	}
	for _, view := range views {
		if view.Name == domainName {
			return view, nil
		}
	}
	return domain.View{}, domain.ErrNotFound
}
