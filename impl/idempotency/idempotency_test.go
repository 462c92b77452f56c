package idempotency_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// take acquires claims in a transaction of its own, and saves a response for each claim that it obtains.
func take(t *testing.T, s *store.Store, now time.Time, claims ...*idempotency.Claim) []error {
	t.Helper()
	var met []error
	must(t, s.Tx(t.Context(), func(tx *db.Queries) (err error) {
		if met, err = idempotency.Acquire(t.Context(), tx, now, claims...); err != nil {
			return err
		}
		var answered []idempotency.SavedResponse
		for i, claim := range claims {
			if met[i] == nil {
				answered = append(answered, idempotency.SavedResponse{Claim: claim, Response: idempotency.Response{
					Status: 201, Location: "/v1/things/1", Body: []byte("made"), Sealed: true,
				}})
			}
		}
		return idempotency.Save(t.Context(), tx, now, answered...)
	}))
	return met
}

func TestTakeAndKeep(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	now, organization := time.Now(), uuid.New()
	claims := []*idempotency.Claim{
		idempotency.NewClaim(organization, "one", "create", []byte("body")),
		idempotency.NewClaim(organization, "two", "create", []byte("body")),
		idempotency.NewClaim(uuid.New(), "one", "create", []byte("body")),
	}
	for _, met := range take(t, s, now, claims...) {
		if met != nil {
			t.Errorf("a new key met %v", met)
		}
	}
	for _, met := range take(t, s, now, claims...) {
		var replay *idempotency.Replay
		if !errors.As(met, &replay) {
			t.Fatalf("a repetition met %v", met)
		}
		if got := replay.Response; got.Status != 201 || got.Location != "/v1/things/1" || string(got.Body) != "made" || !got.Sealed {
			t.Errorf("the answer is %+v", got)
		}
	}
	for _, other := range []*idempotency.Claim{
		idempotency.NewClaim(organization, "one", "create", []byte("another body")),
		idempotency.NewClaim(organization, "one", "create", nil),
		idempotency.NewClaim(organization, "one", "send", []byte("body")),
	} {
		if met := take(t, s, now, other)[0]; !errors.Is(met, idempotency.ErrReused) {
			t.Errorf("another request met %v", met)
		}
	}
	if met := take(t, s, now.Add(idempotency.TTL-time.Second), claims[0])[0]; met == nil {
		t.Error("the answer was not kept for a day")
	}
	if met := take(t, s, now.Add(idempotency.TTL+time.Second), claims[0])[0]; met != nil {
		t.Errorf("after a day a key met %v", met)
	}
}

// TestTakeNeverWaits holds a key in one transaction and acquires it, among others, in another.
func TestTakeNeverWaits(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	now, organization := time.Now(), uuid.New()
	held := idempotency.NewClaim(organization, "held", "create", nil)
	free := idempotency.NewClaim(organization, "free", "create", nil)
	givenUp := errors.New("given up")
	err := s.Tx(t.Context(), func(tx *db.Queries) error {
		if met, err := idempotency.Acquire(t.Context(), tx, now, held); err != nil || met[0] != nil {
			t.Errorf("met %v, %v", met, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		must(t, s.Tx(ctx, func(other *db.Queries) error {
			met, err := idempotency.Acquire(ctx, other, now, held, free)
			if err != nil || !errors.Is(met[0], idempotency.ErrInProgress) || met[1] != nil {
				t.Errorf("met %v, %v", met, err)
			}
			return nil
		}))
		return givenUp
	})
	if !errors.Is(err, givenUp) {
		t.Fatal(err)
	}
	if met := take(t, s, now, held)[0]; met != nil {
		t.Errorf("a key that was given up met %v", met)
	}
}
