package impl

import (
	"context"
	"errors"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/intake"
)

const (
	// rememberedKeys bounds the memory, rememberedFor how old what is in it may be.
	rememberedKeys = 10_000
	rememberedFor  = time.Minute
	// recheckPatience is short: it comes after all that the operation was given.
	recheckPatience = 3 * time.Second
)

// remembered are keys that were found in the database lately. Only requests to send may rely on them, because the
// transaction that accepts looks at the key again: that saves a round trip per message. Every other answer to such a
// request is preceded by [Server.recheck], so that a revoked key gets 401 and nothing else, at once.
type remembered struct {
	keys *lru.Cache[string, rememberedKey]
}

type rememberedKey struct {
	caller caller
	hash   []byte
	at     time.Time
}

func newRemembered() (remembered, error) {
	keys, err := lru.New[string, rememberedKey](rememberedKeys)
	return remembered{keys}, err
}

func (r remembered) keep(key caller, hash []byte, now time.Time) {
	key.remembered = true
	r.keys.Add(key.prefix, rememberedKey{key, hash, now})
}

func (r remembered) recall(presented apikey.Key, now time.Time) (caller, bool) {
	found, known := r.keys.Get(presented.Prefix)
	if !known || now.Sub(found.at).Abs() > rememberedFor || !presented.Matches(found.hash) {
		return caller{}, false
	}
	if expiry := found.caller.expiresAt; expiry != nil && !expiry.After(now) {
		return caller{}, false
	}
	return found.caller, true
}

// recheck asks the database about a key that was only remembered.
func (server *Server) recheck(ctx context.Context, key caller) error {
	if !key.remembered {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recheckPatience)
	defer cancel()
	row, err := server.lookUp(ctx, key.prefix)
	if err != nil {
		return err
	}
	if row.APIKey.ID != key.keyID || !usable(row.APIKey, server.config.Now()) {
		return unauthorized()
	}
	if row.OrganizationSuspendedAt != nil {
		return inactive()
	}
	return nil
}

// recheckRefused is the error to answer with when a key was not let in: only that it is none any more comes before
// what it was refused for.
func (server *Server) recheckRefused(ctx context.Context, key caller, refusal error) error {
	gone := server.recheck(context.WithoutCancel(ctx), key)
	if known, found := errors.AsType[*problem](gone); found && known.code == api.ProblemCodeUnauthorized {
		return gone
	}
	return refusal
}

// recheckBefore is the error to answer with when a request failed: the key's, if there is anything wrong with it.
func (server *Server) recheckBefore(ctx context.Context, key caller, failure error) error {
	// Where too much waits already, nothing is added to it.
	if failure == nil || errors.Is(failure, intake.ErrOverloaded) {
		return failure
	}
	// A client that has closed its half of the connection, which ends ctx, may still read the answer.
	if err := server.recheck(context.WithoutCancel(ctx), key); err != nil {
		return err
	}
	return failure
}
