package auth

import (
	"context"
	"errors"
	"net"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/problem"
)

const (
	// knownKeys bounds the memory of valid keys, whose look-ups do not wait behind guesses.
	knownKeys = 100_000
	// unknownLookups is how many keys that this process has not seen valid may be looked up at once. A well-formed key
	// costs a query whether or not it exists: without a bound, guesses would take every connection of the pool.
	unknownLookups = 4
	// suspectLookups is how many of them may come from addresses whose keys failed before.
	suspectLookups = 2
	// unknownLookupWait is how long such a look-up waits for its turn. After a start no key is known, and every client
	// comes at once.
	unknownLookupWait = 2 * time.Second
	// failuresPerSecond and failureBurst bound the look-ups of unknown keys that one address may have fail.
	failuresPerSecond, failureBurst = 20, 100
	// countedAddresses bounds the memory of addresses.
	countedAddresses = 10_000
)

// unknownKeys bounds the look-ups of keys that this process has not seen valid, per address and in all. Requests that
// come with the same new key at once cost one look-up together.
type unknownKeys struct {
	// known holds the hash of the secret by the prefix of the key: a prefix alone is not secret.
	known           *lru.Cache[string, []byte]
	failures        *lru.Cache[string, *rate.Limiter]
	turns, suspects chan struct{}
	flights         singleflight.Group
}

func newUnknownKeys() (*unknownKeys, error) {
	known, err := lru.New[string, []byte](knownKeys)
	if err != nil {
		return nil, err
	}
	failures, err := lru.New[string, *rate.Limiter](countedAddresses)
	return &unknownKeys{
		known: known, failures: failures,
		turns: make(chan struct{}, unknownLookups), suspects: make(chan struct{}, suspectLookups),
	}, err
}

// lookUp returns the row of a key through find. It returns at once to find for a key that was valid before; any other
// waits for its turn. It returns a 401 problem for a key that does not exist, and a 503 problem if its turn does not come.
func (u *unknownKeys) lookUp(
	ctx context.Context, presented apikey.Key, address string, now time.Time, find findKey,
) (db.APIKeyGetByPrefixRow, error) {
	if u.isKnown(presented) {
		return find(ctx, presented.Prefix)
	}
	failures, counted := u.failures.Get(HostOf(address))
	if counted && failures.TokensAt(now) < 1 {
		return db.APIKeyGetByPrefixRow{}, tooManyUnknown()
	}
	found, err, shared := u.flights.Do(presented.Prefix, func() (any, error) {
		// The request that came first may be given up by its client; the others still wait for the row.
		return u.inTurn(context.WithoutCancel(ctx), presented.Prefix, counted, find)
	})
	row, _ := found.(db.APIKeyGetByPrefixRow)
	if err == nil && !presented.Matches(row.APIKey.SecretHash) {
		err = Unauthorized()
	}
	if err != nil {
		if isUnauthorized(err) {
			u.failed(address, now)
		}
		return db.APIKeyGetByPrefixRow{}, err
	}
	u.known.Add(presented.Prefix, row.APIKey.SecretHash)
	if shared {
		// The key may have been revoked since the shared look-up began.
		return find(ctx, presented.Prefix)
	}
	return row, nil
}

// findKey reads a key by its prefix.
type findKey func(ctx context.Context, prefix string) (db.APIKeyGetByPrefixRow, error)

func (u *unknownKeys) inTurn(
	ctx context.Context, prefix string, suspect bool, find findKey,
) (db.APIKeyGetByPrefixRow, error) {
	waiting, cancel := context.WithTimeout(ctx, unknownLookupWait)
	defer cancel()
	if suspect {
		if !take(waiting, u.suspects) {
			return db.APIKeyGetByPrefixRow{}, tooManyUnknown()
		}
		defer func() { <-u.suspects }()
	}
	if !take(waiting, u.turns) {
		return db.APIKeyGetByPrefixRow{}, tooManyUnknown()
	}
	defer func() { <-u.turns }()
	return find(ctx, prefix)
}

// take reports whether a turn came before ctx ended.
func take(ctx context.Context, turns chan struct{}) bool {
	select {
	case turns <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// isKnown reports whether a key was valid before.
func (u *unknownKeys) isKnown(presented apikey.Key) bool {
	hash, found := u.known.Get(presented.Prefix)
	return found && presented.Matches(hash)
}

// failed notes that an address came with a key that does not exist.
func (u *unknownKeys) failed(address string, now time.Time) {
	counted, found := u.failures.Get(HostOf(address))
	if !found {
		counted = rate.NewLimiter(failuresPerSecond, failureBurst)
		u.failures.Add(HostOf(address), counted)
	}
	counted.AllowN(now, 1)
}

func isUnauthorized(err error) bool {
	known, found := errors.AsType[*problem.Problem](err)
	return found && known.Code == api.ProblemCodeUnauthorized
}

func tooManyUnknown() *problem.Problem {
	return &problem.Problem{
		Code: api.ProblemCodeOverloaded, Detail: "More unknown keys are being looked up than this server takes on; try again.",
		RetryAfter: 1,
	}
}

// HostOf returns the host of a remote address, without its port.
func HostOf(address string) string {
	if only, _, err := net.SplitHostPort(address); err == nil {
		return only
	}
	return address
}
