package worker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/impl/worker"
)

func TestNotificationWakes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	first := h.accept(t, o, 1)
	start(t, h.newWorker(t, func(c *worker.Config) { c.PollInterval = time.Hour }))
	eventually(t, "what was there is sent", h.idle(t))
	second := h.accept(t, o, 1)
	eventually(t, "what was notified is sent", h.idle(t))
	requireEachOnce(t, h, append(first, second...))
}

func TestTwoDispatchersSendEachMessageOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var ids []uuid.UUID
	owners := map[uuid.UUID]tenant{}
	for range 4 {
		o := h.tenant(t)
		for _, id := range h.accept(t, o, 50) {
			ids = append(ids, id)
			owners[id] = o
		}
	}
	for range 2 {
		start(t, h.newWorker(t, func(c *worker.Config) { c.SendConcurrency, c.Random = 8, rand.Float64 }))
	}
	eventually(t, "all are sent", h.idle(t))
	requireEachOnce(t, h, ids)
	for _, id := range ids {
		h.requireSent(t, owners[id], id)
	}
}

// abandon claims what is due, as a process does that is killed before it settles.
func (h *house) abandon(t testing.TB) {
	t.Helper()
	now := h.clock.Now()
	params := db.SendClaimParams{
		Now: now, LeasedUntil: now.Add(time.Minute), PerLane: 10, MaxRows: 10, Large: 1000, SmallRoom: 1000,
	}
	lanes, err := h.store.Queries().SendLanes(t.Context())
	must(t, err)
	for _, lane := range lanes {
		params.Lanes, params.Floors = append(params.Lanes, lane.OrganizationID), append(params.Floors, lane.DueAt)
	}
	claimed, err := h.store.Queries().SendClaim(t.Context(), params)
	if err != nil || len(claimed) == 0 {
		t.Fatalf("claimed %d: %v", len(claimed), err)
	}
}

func TestLeaseOfADeadProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.abandon(t)
	h.clock.advance(time.Minute - time.Microsecond)
	h.pass(t, 0)
	h.clock.advance(time.Microsecond)
	h.pass(t, 1)
	h.requireSent(t, o, id)
	if data := string(h.events(t, o, id)[0].Data); !strings.Contains(data, `"ambiguousAttempts": 1`) {
		t.Errorf("the abandoned attempt is not marked ambiguous: %s", data)
	}
}

func TestLateFailureChangesNothing(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]ses.Class{"gives up": ses.Rejected, "postpones": ses.Ambiguous} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			o := h.tenant(t)
			id := h.accept(t, o, 1)[0]
			asked, answer := make(chan struct{}), make(chan struct{})
			slow := h.newWorker(t, func(c *worker.Config) {
				c.SES = sender(func(context.Context, ses.Message) (string, error) {
					close(asked)
					<-answer
					return "", &ses.Error{Class: late, Detail: "late"}
				})
			})
			ended := make(chan error, 1)
			go func() {
				_, err := slow.RunOnce(context.WithoutCancel(t.Context()))
				ended <- err
			}()
			<-asked
			h.clock.advance(time.Minute)
			h.ses.SetFaults(sessim.Faults{Throttle: 1})
			h.pass(t, 1) // another process has taken it over, and it waits
			close(answer)
			must(t, <-ended)
			if row := h.waiting(t, o, id); row.Attempt != 2 || row.AmbiguousAttempts != 1 {
				t.Fatalf("a process that lost its lease changed the row: %+v", *row)
			}
			h.clock.advance(time.Minute)
			h.pass(t, 1)
			h.requireSent(t, o, id)
		})
	}
}

func TestABacklogDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	busy, other := h.tenant(t), h.tenant(t)
	h.accept(t, busy, 2000)
	h.clock.advance(time.Second)
	id := h.accept(t, other, 1)[0]
	if _, err := h.worker.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.requireSent(t, other, id)
}

func TestMoreBacklogsThanSendersDoNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 30 {
		h.accept(t, h.tenant(t), 20)
	}
	h.clock.advance(time.Second)
	other := h.tenant(t)
	id := h.accept(t, other, 1)[0]
	h.worker = h.newWorker(t, func(c *worker.Config) { c.SendConcurrency, c.Random = 4, rand.Float64 })
	// Fair would be 8 passes; in order of age it would be 150.
	for passes := 1; h.row(t, id) != nil; passes++ {
		if passes > 100 {
			t.Fatal("an organization waits for the backlogs of all others")
		}
		h.pass(t, 4)
	}
	h.requireSent(t, other, id)
}

func TestPostgresRestartsInTheMiddle(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	h := newHouseOn(t, storetest.Open(t, server.DSN(devdb.Database)))
	o := h.tenant(t)
	ids := h.accept(t, o, 300)
	h.ses.SetFaults(sessim.Faults{DelayMs: 20})
	stop := start(t, h.newWorker(t, func(c *worker.Config) { c.SendConcurrency = 8 }))
	eventually(t, "some are sent", func() bool { return h.ses.Stats().Accepted > 20 })
	must(t, server.Kill())
	must(t, server.Restart(t.Context()))
	before := h.ses.Stats().Accepted
	eventually(t, "sending goes on by itself", func() bool { return h.ses.Stats().Accepted > before+20 })
	// A claim whose commit lost its response has taken of the send limit, which only time gives back.
	eventually(t, "nothing is left but what may be leased", func() bool {
		h.clock.advance(10 * time.Millisecond)
		return h.count(t, "SELECT count(*) FROM sends WHERE leased_until IS NULL") == 0
	})
	stop()
	// A claim whose commit lost its response was never worked on; its lease expires.
	h.clock.advance(time.Minute)
	start(t, h.newWorker(t))
	eventually(t, "all are sent", h.idle(t))
	requireEachOnce(t, h, ids)
	for _, id := range ids {
		h.requireSent(t, o, id)
	}
}

func TestOutcomesOutliveALongOutage(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	h := newHouseOn(t, storetest.Open(t, server.DSN(devdb.Database)))
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	start(t, h.newWorker(t, func(c *worker.Config) {
		c.SES = sender(func(ctx context.Context, m ses.Message) (string, error) {
			providerMessageID, err := h.client.Send(ctx, m)
			return providerMessageID, errors.Join(err, server.Kill())
		})
	}))
	eventually(t, "the outcome cannot be stored", func() bool { return strings.Contains(h.log.String(), "cannot be stored yet") })
	// By now the lease has expired, and this worker is the first to find the message due.
	h.clock.advance(time.Hour)
	must(t, server.Restart(t.Context()))
	eventually(t, "it is stored", h.idle(t))
	h.requireSent(t, o, id)
	requireEachOnce(t, h, []uuid.UUID{id})
}

// While Postgres is unavailable an event cannot be stored, so that the wait for it begins afterwards.
func TestAnOutcomeThatIsStoredLateWaitsForItsEvent(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	h := newHouseOn(t, storetest.Open(t, server.DSN(devdb.Database)))
	o := h.tenant(t)
	h.notify(t, "{}") // events arrive
	h.pass(t, 1)
	id := h.accept(t, o, 1)[0]
	var calls atomic.Int64
	start(t, h.newWorker(t, func(c *worker.Config) {
		c.SES = sender(func(context.Context, ses.Message) (string, error) {
			if calls.Add(1) > 1 {
				return "", &ses.Error{Class: ses.Ambiguous}
			}
			return "", errors.Join(&ses.Error{Class: ses.Ambiguous}, server.Kill())
		})
	}))
	eventually(t, "the outcome cannot be stored", func() bool { return strings.Contains(h.log.String(), "cannot be stored yet") })
	h.clock.advance(time.Hour)
	must(t, server.Restart(t.Context()))
	eventually(t, "it is stored", func() bool {
		return h.count(t, "SELECT count(*) FROM sends WHERE leased_until IS NULL AND ambiguous_attempts = 1") == 1
	})
	if row := h.waiting(t, o, id); row.Attempt != 1 || row.DueAt.Sub(h.clock.Now()) != 30*time.Second {
		t.Errorf("it does not wait for the event: %+v", *row)
	}
}

func TestAClaimThatTakesTooLongIsTriedWithFewer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.accept(t, h.tenant(t), 20)
	h.worker = h.newWorker(t, func(c *worker.Config) { c.FetchQuota, c.SendConcurrency = nil, 8 })
	// Two are claimed at once, a third takes too long.
	h.exec(t, `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF (SELECT count(*) FROM sends WHERE leased_until IS NOT NULL) >= 2 THEN PERFORM pg_sleep(600); END IF;
		RETURN NEW;
	END $$`)
	h.exec(t, `CREATE TRIGGER dawdle BEFORE UPDATE ON sends FOR EACH ROW WHEN (NEW.leased_until IS NOT NULL) EXECUTE FUNCTION dawdle()`)
	if n, err := h.worker.RunOnce(t.Context()); err == nil {
		t.Fatalf("%d messages were claimed in time", n)
	}
	claimed := 0
	eventually(t, "fewer are claimed", func() (done bool) {
		var err error
		claimed, err = h.worker.RunOnce(t.Context())
		must(t, err)
		return claimed > 0
	})
	if claimed != 2 {
		t.Errorf("%d messages were claimed, want a quarter of 8", claimed)
	}
	h.exec(t, "DROP TRIGGER dawdle ON sends")
	for _, want := range []int{4, 8, 6} {
		h.pass(t, want)
	}
}

func TestStopFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	ids := h.accept(t, o, 3)
	asked, answer := make(chan struct{}, 3), make(chan struct{})
	d := h.newWorker(t, func(c *worker.Config) {
		c.SendConcurrency = 2
		c.SES = sender(func(ctx context.Context, m ses.Message) (string, error) {
			asked <- struct{}{}
			<-answer
			return h.client.Send(ctx, m)
		})
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	<-asked
	<-asked
	stop()
	select {
	case err := <-ended:
		t.Fatalf("it stopped with messages in hand: %v", err)
	default:
	}
	close(answer)
	must(t, <-ended)
	if n := h.ses.Stats().Accepted; n != 2 {
		t.Errorf("SES got %d messages, want the two that were in hand", n)
	}
	if n := h.count(t, "SELECT count(*) FROM sends WHERE leased_until IS NULL AND attempt = 0"); n != 1 {
		t.Errorf("%d messages are untouched, want one of %d", n, len(ids))
	}
	if n := h.count(t, "SELECT count(*) FROM emails WHERE outcome = 2"); n != 2 {
		t.Errorf("%d messages are stored as sent, want 2", n)
	}
}

func TestStopCutsOffWhatNeverEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	asked := make(chan struct{})
	d := h.newWorker(t, func(c *worker.Config) {
		c.DrainTimeout = 10 * time.Second // the last fifth is for storing
		c.SES = sender(func(ctx context.Context, _ ses.Message) (string, error) {
			close(asked)
			<-ctx.Done()
			return "", ctx.Err()
		})
	})
	stop := start(t, d)
	<-asked
	stop()
	if row := h.waiting(t, o, id); row.AmbiguousAttempts != 1 {
		t.Errorf("an attempt that was cut off is not ambiguous: %+v", *row)
	}
}

func TestStopTellsWhatCouldNotBeStored(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	h := newHouseOn(t, storetest.Open(t, server.DSN(devdb.Database)))
	h.accept(t, h.tenant(t), 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	d := h.newWorker(t, func(c *worker.Config) {
		c.DrainTimeout = time.Second
		c.SES = sender(func(ctx context.Context, m ses.Message) (string, error) {
			defer stop()
			providerMessageID, err := h.client.Send(ctx, m)
			return providerMessageID, errors.Join(err, server.Kill())
		})
	})
	err := d.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "1 messages could not be stored") {
		t.Errorf("it ends with %v", err)
	}
}
