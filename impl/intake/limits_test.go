package intake_test

import (
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// However many requests and processes accept at once, together they accept exactly a day's limit.
func TestTheDailyLimitIsExact(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	one := newSender(t, s)
	one.execute(`UPDATE organizations SET created_at = now() - interval '36 hours' WHERE id = $1`, one.organization)
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	var accepted atomic.Int64
	var processes errgroup.Group
	for range 3 {
		accepting := intake.New(intake.Config{
			Store: s, Now: func() time.Time { return noon }, Random: rand.Reader,
			Limits: intake.Limits{WarmUp: 20}, // 40 on the second day, 1 a second
		})
		one.execute(`UPDATE organizations SET per_second_limit = 0 WHERE id = $1`, one.organization)
		for range 10 {
			processes.Go(func() error {
				for range 3 {
					results, err := accepting.Accept(t.Context(), []intake.Message{one.message("a@acme.test", "user@example.com")})
					switch {
					case err != nil:
						return err
					case results[0].Refusal == nil:
						accepted.Add(1)
					case results[0].Refusal.Reason != intake.OrganizationLimit || results[0].Refusal.RetryAfter <= 0:
						t.Errorf("refused with %+v", results[0].Refusal)
					}
				}
				return nil
			})
		}
	}
	if err := processes.Wait(); err != nil {
		t.Fatal(err)
	}
	if accepted.Load() != 40 || one.stored() != 40 {
		t.Errorf("accepted %d, stored %d", accepted.Load(), one.stored())
	}
}

// A warning stops the growth of a new organization's limit: it stays what it was on that day.
func TestAWarningStopsTheWarmUp(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	one := newSender(t, s)
	now := time.Now().UTC()
	one.execute(`UPDATE organizations SET created_at = $2, per_second_limit = 0 WHERE id = $1`, one.organization, now.Add(-60*time.Hour))
	one.execute(`INSERT INTO reputations (organization_id, domain, warned_at) VALUES ($1, 'acme.test', $2)`, one.organization, now.Add(-50*time.Hour))
	accepting := intake.New(intake.Config{Store: s, Now: func() time.Time { return now }, Random: rand.Reader, Limits: intake.Limits{WarmUp: 1}})
	accept := func() bool {
		results, err := accepting.Accept(t.Context(), []intake.Message{one.message("a@acme.test", "user@example.com")})
		if err != nil {
			t.Fatal(err)
		}
		return results[0].Refusal == nil
	}
	if !accept() || accept() {
		t.Error("the limit is not that of the first day")
	}
	one.execute(`UPDATE reputations SET warned_at = NULL`)
	accepted := 0
	for range 5 {
		if accept() {
			accepted++
		}
	}
	if accepted != 3 {
		t.Errorf("without the warning %d more are accepted, and the limit of the third day has room for 3", accepted)
	}
}
