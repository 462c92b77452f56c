package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// MaxKeys is how many unrevoked keys an organization may have.
	MaxKeys = 100
	// RevokedListedFor is how long a revoked key stays in lists.
	RevokedListedFor = 90 * 24 * time.Hour
	// MaxRevokedListed is how many revoked keys a list has at most, those revoked last.
	MaxRevokedListed = 100
	// maxPrefixAttempts bounds how often a random prefix is drawn, since some of the 36^8 prefixes are taken.
	maxPrefixAttempts = 5
)

var (
	// ErrKeyLimit is returned when the organization has [MaxKeys] unrevoked keys.
	ErrKeyLimit = errors.New("the organization has as many unrevoked keys as it may have")
	// ErrKeyName is returned when an unrevoked key of the organization has the name.
	ErrKeyName = errors.New("an unrevoked key of the organization has this name already")
)

// NewKey describes a key to create.
type NewKey struct {
	OrganizationID uuid.UUID
	Name           string
	Scopes         []string
	ExpiresAt      *time.Time // nil means never
}

// Keys creates, lists and revokes keys, for the API and the command line.
type Keys struct {
	Store  *store.Store
	Now    func() time.Time
	NewID  func() uuid.UUID
	Random io.Reader
}

// CreateKey makes a key and stores its hash. It returns [ErrKeyLimit] and [ErrKeyName].
func (k Keys) CreateKey(ctx context.Context, wanted NewKey) (secret apikey.Key, row db.APIKey, err error) {
	for range maxPrefixAttempts {
		if secret, err = apikey.New(k.Random); err != nil {
			return apikey.Key{}, db.APIKey{}, fmt.Errorf("make an API key: %w", err)
		}
		if row, err = k.insert(ctx, wanted, secret); store.Constraint(err) != store.ConstraintAPIKeysPrefix {
			break
		}
	}
	if store.Constraint(err) == store.ConstraintAPIKeysName {
		err = ErrKeyName
	}
	if err != nil {
		return apikey.Key{}, db.APIKey{}, fmt.Errorf("create an API key: %w", err)
	}
	return secret, row, nil
}

// StoreKey stores the hash of a key that was made before. It returns [ErrKeyLimit] and [ErrKeyName].
func (k Keys) StoreKey(ctx context.Context, wanted NewKey, secret apikey.Key) (db.APIKey, error) {
	row, err := k.insert(ctx, wanted, secret)
	if store.Constraint(err) == store.ConstraintAPIKeysName {
		err = ErrKeyName
	}
	if err != nil {
		return db.APIKey{}, fmt.Errorf("store an API key: %w", err)
	}
	return row, nil
}

// insert locks the organization while it counts, so that concurrent creators cannot exceed the limit together.
func (k Keys) insert(ctx context.Context, wanted NewKey, secret apikey.Key) (db.APIKey, error) {
	var row db.APIKey
	err := k.Store.Tx(ctx, func(tx *db.Queries) error {
		if err := tx.OrganizationLock(ctx, wanted.OrganizationID); err != nil {
			return err
		}
		count, err := tx.APIKeyCountUnrevoked(ctx, wanted.OrganizationID)
		if err != nil {
			return err
		}
		if count >= MaxKeys {
			return ErrKeyLimit
		}
		row, err = tx.APIKeyInsert(ctx, db.APIKeyInsertParams{
			ID: k.NewID(), OrganizationID: wanted.OrganizationID, Name: wanted.Name, Prefix: secret.Prefix,
			SecretHash: secret.Hash(), Scopes: wanted.Scopes, ExpiresAt: wanted.ExpiresAt, CreatedAt: k.Now(),
		})
		return err
	})
	return row, err
}

// ListKeys returns the keys of an organization, newest first: the unrevoked keys, and of the keys revoked within
// [RevokedListedFor] the last maxRevoked.
func (k Keys) ListKeys(ctx context.Context, organizationID uuid.UUID, maxRevoked int32) ([]db.APIKey, error) {
	rows, err := k.Store.Queries().APIKeyList(ctx, db.APIKeyListParams{
		OrganizationID: organizationID, RevokedAfter: k.Now().Add(-RevokedListedFor), MaxRevoked: maxRevoked,
	})
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return rows, nil
}

// GetKey returns a key of the organization, revoked or not. It reports whether there is one.
func (k Keys) GetKey(ctx context.Context, organizationID, id uuid.UUID) (row db.APIKey, found bool, err error) {
	row, err = k.Store.Queries().APIKeyGet(ctx, db.APIKeyGetParams{OrganizationID: organizationID, ID: id})
	if store.IsNoRows(err) {
		return db.APIKey{}, false, nil
	}
	if err != nil {
		return db.APIKey{}, false, fmt.Errorf("read an API key: %w", err)
	}
	return row, true, nil
}

// RevokeKey revokes a key of the organization, at once and for good. It reports whether there was one to revoke.
func (k Keys) RevokeKey(ctx context.Context, organizationID, id uuid.UUID) (bool, error) {
	revoked, err := k.Store.Queries().APIKeyRevoke(ctx, db.APIKeyRevokeParams{
		OrganizationID: organizationID, ID: id, Now: k.Now(),
	})
	if err != nil {
		return false, fmt.Errorf("revoke an API key: %w", err)
	}
	return revoked > 0, nil
}
