package auth

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/voostack/mailstack/impl/apikey"
)

const (
	// keyCacheSize bounds the memory of the cache, keyCacheTTL the age of its entries.
	keyCacheSize = 10_000
	keyCacheTTL  = time.Minute
	// revalidateTimeout is short, because it comes on top of the operation's own time limit.
	revalidateTimeout = 3 * time.Second
)

// keyCache holds API keys read from the database within the last minute, which saves a round trip for each
// message. Only requests to send use it, because the transaction that accepts checks the key again. Every other
// response to such a request is preceded by [Authenticator.Revalidate], so that a revoked key gets 401 at once.
type keyCache struct {
	keys *lru.Cache[string, cachedKey]
}

type cachedKey struct {
	caller Caller
	hash   []byte
	at     time.Time
}

func newKeyCache() (keyCache, error) {
	keys, err := lru.New[string, cachedKey](keyCacheSize)
	return keyCache{keys}, err
}

func (c keyCache) put(key Caller, hash []byte, now time.Time) {
	key.fromCache = true
	c.keys.Add(key.prefix, cachedKey{key, hash, now})
}

func (c keyCache) get(presented apikey.Key, now time.Time) (Caller, bool) {
	found, known := c.keys.Get(presented.Prefix)
	if !known || now.Sub(found.at).Abs() > keyCacheTTL || !presented.Matches(found.hash) {
		return Caller{}, false
	}
	if expiry := found.caller.ExpiresAt; expiry != nil && !expiry.After(now) {
		return Caller{}, false
	}
	return found.caller, true
}

// Revalidate checks the key of a request against the database, if the key came from the cache.
func (a *Authenticator) Revalidate(ctx context.Context) error {
	return a.revalidate(ctx, CallerFromContext(ctx))
}

func (a *Authenticator) revalidate(ctx context.Context, key Caller) error {
	if !key.fromCache {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, revalidateTimeout)
	defer cancel()
	row, err := a.lookUp(ctx, key.prefix)
	if err != nil {
		return err
	}
	if row.APIKey.ID != key.KeyID || !Usable(row.APIKey, a.config.Now()) {
		return Unauthorized()
	}
	if row.OrganizationSuspendedAt != nil {
		return Inactive()
	}
	return nil
}

// unauthorizedOr returns the error of a refused request: 401 if its key is no longer valid, else refusal.
func (a *Authenticator) unauthorizedOr(ctx context.Context, key Caller, refusal error) error {
	err := a.revalidate(context.WithoutCancel(ctx), key)
	if isUnauthorized(err) {
		return err
	}
	return refusal
}

// KeyErrorOr returns the error of a failed request: what [Authenticator.Revalidate] returns if that is an error,
// else failure. It returns nil if failure is nil.
func (a *Authenticator) KeyErrorOr(ctx context.Context, failure error) error {
	if failure == nil {
		return nil
	}
	// A client that has closed its half of the connection, which ends ctx, may still read the response.
	if err := a.Revalidate(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return failure
}
