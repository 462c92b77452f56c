package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/problem"
)

const address, otherAddress = "192.0.2.1:1000", "192.0.2.2:1000"

func newKey(t *testing.T) apikey.Key {
	t.Helper()
	key, err := apikey.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// table finds the keys that it holds, after a time.
func table(takes time.Duration, queries *atomic.Int64, keys ...apikey.Key) findKey {
	return func(_ context.Context, prefix string) (db.APIKeyGetByPrefixRow, error) {
		queries.Add(1)
		<-time.After(takes)
		for _, key := range keys {
			if key.Prefix == prefix {
				return db.APIKeyGetByPrefixRow{APIKey: db.APIKey{SecretHash: key.Hash()}}, nil
			}
		}
		return db.APIKeyGetByPrefixRow{}, Unauthorized()
	}
}

func code(err error) api.ProblemCode {
	var refusal *problem.Problem
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

func newGuarded(t *testing.T) *unknownKeys {
	t.Helper()
	unknown, err := newUnknownKeys()
	if err != nil {
		t.Fatal(err)
	}
	return unknown
}

// Guesses wait for each other and are refused when too many do; a key that was valid before waits for none of them.
func TestUnknownKeysDoNotHoldUpKnownOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unknown, known := newGuarded(t), newKey(t)
		var queries atomic.Int64
		if _, err := unknown.lookUp(t.Context(), known, address, time.Now(), table(0, &queries, known)); err != nil {
			t.Fatal(err)
		}
		var guesses sync.WaitGroup
		for range unknownLookups {
			guess := newKey(t)
			guesses.Go(func() {
				_, _ = unknown.lookUp(t.Context(), guess, otherAddress, time.Now(), table(time.Hour, &queries))
			})
		}
		synctest.Wait()
		began := time.Now()
		_, err := unknown.lookUp(t.Context(), known, address, time.Now(), table(0, &queries, known))
		if err != nil || time.Since(began) > 0 {
			t.Errorf("a known key waited %s: %v", time.Since(began), err)
		}
		_, err = unknown.lookUp(t.Context(), newKey(t), address, time.Now(), table(0, &queries))
		if code(err) != api.ProblemCodeOverloaded || time.Since(began) != unknownLookupWait {
			t.Errorf("a guess too many got %v after %s", err, time.Since(began))
		}
		guesses.Wait()
		if _, err := unknown.lookUp(t.Context(), newKey(t), address, time.Now(), table(0, &queries)); code(err) != api.ProblemCodeUnauthorized {
			t.Errorf("after the guesses: %v", err)
		}
	})
}

// However many requests come at once with a key that is new to the process, none is refused for the others.
func TestRequestsOfANewKeyShareALookup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unknown, key, guess := newGuarded(t), newKey(t), newKey(t)
		guess.Prefix = key.Prefix
		var queries atomic.Int64
		find := table(unknownLookupWait/2, &queries, key)
		var requests sync.WaitGroup
		for range 500 {
			requests.Go(func() {
				if _, err := unknown.lookUp(t.Context(), key, address, time.Now(), find); err != nil {
					t.Error(err)
				}
			})
			requests.Go(func() {
				if _, err := unknown.lookUp(t.Context(), guess, otherAddress, time.Now(), find); code(err) != api.ProblemCodeUnauthorized {
					t.Errorf("another secret: %v", err)
				}
			})
		}
		synctest.Wait()
		if queries.Load() != 1 {
			t.Errorf("%d look-ups before the first ended", queries.Load())
		}
		requests.Wait()
	})
}

// An address whose keys failed leaves turns to those whose did not.
func TestGuessesLeaveTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unknown, key := newGuarded(t), newKey(t)
		unknown.failed(address, time.Now())
		var queries atomic.Int64
		var guesses sync.WaitGroup
		for range 2 * unknownLookups {
			guess := newKey(t)
			guesses.Go(func() {
				_, _ = unknown.lookUp(t.Context(), guess, address, time.Now(), table(time.Hour, &queries))
			})
		}
		synctest.Wait()
		began := time.Now()
		_, err := unknown.lookUp(t.Context(), key, otherAddress, time.Now(), table(0, &queries, key))
		if err != nil || time.Since(began) > 0 {
			t.Errorf("a new key waited %s behind guesses of another address: %v", time.Since(began), err)
		}
		guesses.Wait()
	})
}

// The guesses of one address are bounded over time, and cost no other address anything.
func TestFailuresOfAnAddressAreBounded(t *testing.T) {
	t.Parallel()
	unknown, known := newGuarded(t), newKey(t)
	var queries atomic.Int64
	find := table(0, &queries, known)
	now := time.Unix(1_800_000_000, 0)
	attempt := func(key apikey.Key, address string, at time.Time) api.ProblemCode {
		_, err := unknown.lookUp(context.Background(), key, address, at, find)
		return code(err)
	}
	if got := attempt(known, address, now); got != "" {
		t.Fatal(got)
	}
	guess := newKey(t)
	guess.Prefix = known.Prefix
	for i := range failureBurst {
		if got := attempt(guess, address, now); got != api.ProblemCodeUnauthorized {
			t.Fatalf("guess %d: %v", i, got)
		}
	}
	if got := attempt(guess, "192.0.2.1:2000", now); got != api.ProblemCodeOverloaded {
		t.Errorf("one more is looked up: %v", got)
	}
	if got := attempt(known, address, now); got != "" {
		t.Errorf("a known key of the same address: %v", got)
	}
	if got := attempt(guess, otherAddress, now); got != api.ProblemCodeUnauthorized {
		t.Errorf("another address: %v", got)
	}
	if got := attempt(guess, address, now.Add(time.Second)); got != api.ProblemCodeUnauthorized {
		t.Errorf("a second later: %v", got)
	}
}

// A database that cannot be asked is not counted against the address that asks.
func TestOutagesAreNotFailuresOfAnAddress(t *testing.T) {
	t.Parallel()
	unknown := newGuarded(t)
	now := time.Unix(1_800_000_000, 0)
	down := func(context.Context, string) (db.APIKeyGetByPrefixRow, error) {
		return db.APIKeyGetByPrefixRow{}, errors.New("connection refused")
	}
	for range 2 * failureBurst {
		if _, err := unknown.lookUp(t.Context(), newKey(t), address, now, down); code(err) == api.ProblemCodeOverloaded {
			t.Fatal(err)
		}
	}
}
