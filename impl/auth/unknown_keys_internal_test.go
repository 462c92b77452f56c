package auth

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

// Guesses wait for each other and are refused when too many do; a key that was valid before waits for none of them.
func TestUnknownKeysDoNotHoldUpKnownOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unknown, err := newUnknownKeys()
		if err != nil {
			t.Fatal(err)
		}
		unknown.found("known000")
		var releases []func()
		for range unknownLookups {
			release, err := unknown.await(t.Context(), "guess000", "192.0.2.1:1000", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			releases = append(releases, release)
		}
		began := time.Now()
		if _, err := unknown.await(t.Context(), "known000", "192.0.2.1:1000", time.Now()); err != nil || time.Since(began) > 0 {
			t.Errorf("a known key waited %s: %v", time.Since(began), err)
		}
		_, err = unknown.await(t.Context(), "guess000", "192.0.2.2:1000", time.Now())
		var refusal *problem.Problem
		if !errors.As(err, &refusal) || refusal.Code != api.ProblemCodeOverloaded || time.Since(began) != unknownLookupWait {
			t.Errorf("a guess too many got %v after %s", err, time.Since(began))
		}
		releases[0]()
		if _, err := unknown.await(t.Context(), "guess000", "192.0.2.2:1000", time.Now()); err != nil {
			t.Errorf("after a release: %v", err)
		}
	})
}

// The guesses of one address are bounded over time, and cost no other address anything.
func TestFailuresOfAnAddressAreBounded(t *testing.T) {
	t.Parallel()
	unknown, err := newUnknownKeys()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	attempt := func(address string, at time.Time) error {
		release, err := unknown.await(context.Background(), "guess000", address, at)
		if err == nil {
			release()
			unknown.failed(address, at)
		}
		return err
	}
	for i := range failureBurst {
		if err := attempt("192.0.2.1:1000", now); err != nil {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if err := attempt("192.0.2.1:2000", now); err == nil {
		t.Error("one more is looked up")
	}
	if err := attempt("192.0.2.2:1000", now); err != nil {
		t.Errorf("another address: %v", err)
	}
	if err := attempt("192.0.2.1:1000", now.Add(time.Second)); err != nil {
		t.Errorf("a second later: %v", err)
	}
}
