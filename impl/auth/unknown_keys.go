package auth

import (
	"context"
	"net"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

const (
	// knownPrefixes bounds the memory of prefixes of valid keys, whose look-ups do not wait behind guesses.
	knownPrefixes = 100_000
	// unknownLookups is how many keys that this process has not seen may be looked up at once. A well-formed key costs a
	// query whether or not it exists: without a bound, guesses would take every connection of the pool.
	unknownLookups = 4
	// unknownLookupWait is how long such a look-up waits for its turn.
	unknownLookupWait = 500 * time.Millisecond
	// failuresPerSecond and failureBurst bound the look-ups of unknown keys that one address may have fail.
	failuresPerSecond, failureBurst = 20, 100
	// countedAddresses bounds the memory of addresses.
	countedAddresses = 10_000
)

// unknownKeys bounds the look-ups of keys that this process has not seen valid, per address and in all.
type unknownKeys struct {
	known    *lru.Cache[string, struct{}]
	failures *lru.Cache[string, *rate.Limiter]
	turns    chan struct{}
}

func newUnknownKeys() (*unknownKeys, error) {
	known, err := lru.New[string, struct{}](knownPrefixes)
	if err != nil {
		return nil, err
	}
	failures, err := lru.New[string, *rate.Limiter](countedAddresses)
	return &unknownKeys{known: known, failures: failures, turns: make(chan struct{}, unknownLookups)}, err
}

// await returns when the key with a prefix may be looked up; call release when that is done. It returns at once for a key
// that was valid before.
func (u *unknownKeys) await(ctx context.Context, prefix, address string, now time.Time) (release func(), err error) {
	if u.known.Contains(prefix) {
		return func() {}, nil
	}
	if counted, found := u.failures.Get(host(address)); found && counted.TokensAt(now) < 1 {
		return nil, tooManyUnknown()
	}
	ctx, cancel := context.WithTimeout(ctx, unknownLookupWait)
	defer cancel()
	select {
	case u.turns <- struct{}{}:
		return func() { <-u.turns }, nil
	case <-ctx.Done():
		return nil, tooManyUnknown()
	}
}

// found notes that the key with a prefix is valid.
func (u *unknownKeys) found(prefix string) { u.known.Add(prefix, struct{}{}) }

// failed notes that an address came with a key that does not exist.
func (u *unknownKeys) failed(address string, now time.Time) {
	counted, found := u.failures.Get(host(address))
	if !found {
		counted = rate.NewLimiter(failuresPerSecond, failureBurst)
		u.failures.Add(host(address), counted)
	}
	counted.AllowN(now, 1)
}

func tooManyUnknown() *problem.Problem {
	return &problem.Problem{
		Code: api.ProblemCodeOverloaded, Detail: "More unknown keys are being looked up than this server takes on; try again.",
		RetryAfter: 1,
	}
}

func host(address string) string {
	if only, _, err := net.SplitHostPort(address); err == nil {
		return only
	}
	return address
}
