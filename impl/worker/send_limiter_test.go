package worker_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/worker"
)

// perMessage is the number of recipients of the messages that house.accept stores.
const perMessage = 2

// limited returns a house whose account may send to perSecond recipients a second.
func limited(t testing.TB, perSecond float64) *house {
	t.Helper()
	h := newHouse(t)
	must(t, h.ses.SetAccount(sessim.AccountChange{MaxPerSecond: &perSecond}))
	return h
}

// live changes a worker to real time, and counts what it sends.
func live(h *house, taken, throttled *atomic.Int64) func(*worker.Config) {
	return func(c *worker.Config) {
		c.Now, c.Random = time.Now, rand.Float64
		c.SES = sender(func(ctx context.Context, m ses.Message) (string, error) {
			id, err := h.client.Send(ctx, m)
			switch {
			case err == nil:
				taken.Add(1)
			case ses.ClassOf(err) == ses.Throttled:
				throttled.Add(1)
			}
			return id, err
		})
	}
}

func (h *house) requireNoneFailed(t testing.TB) {
	t.Helper()
	if n := h.count(t, "SELECT count(*) FROM emails WHERE outcome = 1"); n != 0 {
		t.Errorf("%d messages failed", n)
	}
}

// BACKLOG=20000 makes the backlog as large as an operator fears, and adds a check by the clock.
func TestAnotherOrganizationIsSentWithinASecond(t *testing.T) {
	t.Parallel()
	const perSecond = 50
	backlog, err := strconv.Atoi(cmp.Or(os.Getenv("BACKLOG"), "2000"))
	must(t, err)
	h := limited(t, perSecond)
	busy := h.tenant(t)
	for left := backlog; left > 0; left -= 1000 {
		h.accept(t, busy, min(left, 1000))
	}
	var taken, throttled atomic.Int64
	start(t, h.newWorker(t, live(h, &taken, &throttled)))
	eventually(t, "the backlog is being sent", func() bool { return h.ses.Stats().Accepted >= 20 })
	slowest := time.Duration(0)
	for range 5 {
		other := h.tenant(t)
		before := h.ses.Stats().Accepted
		id := h.accept(t, other, 1)[0].String()
		queued, accepted := h.ses.Stats().Accepted, time.Now()
		var found sessim.Record
		eventually(t, "another's message is sent", func() bool {
			for _, record := range h.ses.Records(before, 1000) {
				if record.MessageID == id {
					found = record
					return true
				}
			}
			return false
		})
		if ahead := (found.Sequence - queued) * perMessage; ahead > perSecond {
			t.Errorf("%d recipients of the backlog went before another organization's message", ahead)
		}
		slowest = max(slowest, found.ReceivedAt.Sub(accepted))
	}
	t.Logf("with %d messages queued, the slowest of another organization took %s; sent %d, throttled %d", backlog, slowest, taken.Load(), throttled.Load())
	if os.Getenv("BACKLOG") != "" && slowest > time.Second {
		t.Errorf("it took %s", slowest)
	}
	h.requireNoneFailed(t)
}

func TestDispatchersShareTheRate(t *testing.T) {
	t.Parallel()
	const perSecond, burst, messages = 200, 0.2, 300
	// What a busy machine holds up arrives at SES at once, which takes more than it says.
	h := limited(t, 2*perSecond)
	ids := h.accept(t, h.tenant(t), messages)
	var sent [2]atomic.Int64
	var throttled atomic.Int64
	began := time.Now()
	for i := range sent {
		start(t, h.newWorker(t, live(h, &sent[i], &throttled), told(perSecond)))
	}
	eventually(t, "all are sent", h.idle(t))
	requireEachOnce(t, h, ids)
	// There is a backlog from the beginning, so that at no time more than the rate and one burst may have been sent since
	// then. A claim may go beyond by one message.
	recipients := 0
	for _, one := range h.ses.Records(0, messages) {
		recipients += one.Recipients
		since := one.ReceivedAt.Sub(began)
		if most := perSecond*(since.Seconds()+burst) + perMessage; float64(recipients) > most {
			t.Fatalf("%d recipients within %s", recipients, since)
		}
	}
	if a, b := sent[0].Load(), sent[1].Load(); min(a, b) < messages/10 {
		t.Errorf("one sent %d, the other %d", a, b)
	}
	if n := throttled.Load(); n > 0 {
		t.Errorf("SES throttled %d", n)
	}
	h.requireNoneFailed(t)
}

// told has a worker believe that the account may send to perSecond recipients a second.
func told(perSecond float64) func(*worker.Config) {
	return func(c *worker.Config) {
		c.FetchQuota = func(context.Context) (ses.Quota, error) {
			return ses.Quota{Max24Hour: -1, MaxPerSecond: perSecond}, nil
		}
	}
}

// SES takes so little that any machine sends more.
func TestQuotaThatLies(t *testing.T) {
	t.Parallel()
	const messages = 60
	h := limited(t, 30)
	ids := h.accept(t, h.tenant(t), messages)
	var taken, throttled atomic.Int64
	for range 2 {
		start(t, h.newWorker(t, live(h, &taken, &throttled), told(1000)))
	}
	eventually(t, "all are sent", h.idle(t))
	requireEachOnce(t, h, ids)
	h.requireNoneFailed(t)
	if n := h.count(t, "SELECT count(*) FROM quota WHERE slowed_to < per_second"); n != 1 || throttled.Load() == 0 {
		t.Error("the rate was not cut")
	}
	t.Logf("throttled %d times", throttled.Load())
}

func TestDailyQuotaDefers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	day, unlimited := 4.0, -1.0
	must(t, h.ses.SetAccount(sessim.AccountChange{Max24Hour: &day}))
	h.accept(t, o, 5)
	h.pass(t, 2)
	for range 3 {
		h.clock.advance(5 * time.Second)
		h.pass(t, 0)
	}
	if n := h.count(t, "SELECT count(*) FROM sends WHERE attempt = 0 AND leased_until IS NULL"); n != 3 {
		t.Errorf("%d messages wait untouched, want 3", n)
	}
	if log := h.log.String(); strings.Count(log, "daily quota") != 1 || strings.Contains(log, "did not take") {
		t.Errorf("the log says %s", log)
	}
	must(t, h.ses.SetAccount(sessim.AccountChange{Max24Hour: &unlimited}))
	must(t, h.worker.Sending.RefreshQuota(t.Context()))
	h.clock.advance(5 * time.Second)
	h.pass(t, 3)
	h.requireNoneFailed(t)
}

// A message with more recipients than a second's worth is sent, and the messages after it wait until the debt is
// paid.
func TestManyRecipientsAreADebt(t *testing.T) {
	t.Parallel()
	h := limited(t, 1) // the debt is paid so slowly that it is there for all of the test
	o := h.tenant(t)
	large := h.accept(t, o, 1)[0]
	h.exec(t, `INSERT INTO recipients (email_id, position, organization_id, kind, name, address, address_key)
		SELECT $1, n, $2, 'bcc', '', n || '@rcpt.example', n || '@rcpt.example' FROM generate_series(2, 49) AS n`, large, o.id)
	next := h.accept(t, o, 1)[0]
	h.pass(t, 1)
	h.requireSent(t, o, large)
	for range 2 {
		h.clock.advance(time.Second)
		h.pass(t, 0)
	}
	if row := h.row(t, next); row == nil || row.Attempt != 0 || row.LeasedUntil != nil {
		t.Errorf("the message behind it is %+v", row)
	}
	if owed := h.count(t, "SELECT -available::integer FROM quota"); owed < 40 {
		t.Errorf("%d recipients are owed", owed)
	}
}

// Messages that will not be sent use no rate.
func TestSuspendedMailCostsNothing(t *testing.T) {
	t.Parallel()
	h := limited(t, 10)
	suspended, other := h.tenant(t), h.tenant(t)
	h.exec(t, "UPDATE organizations SET suspended_at = now() WHERE id = $1", suspended.id)
	h.accept(t, suspended, 1)
	id := h.accept(t, other, 1)[0]
	h.pass(t, 1)
	h.requireSent(t, other, id)
}

func TestAClockThatIsSetBackDoesNotStopTheMail(t *testing.T) {
	t.Parallel()
	h := limited(t, 10)
	o := h.tenant(t)
	must(t, h.worker.Sending.RefreshQuota(t.Context()))
	h.exec(t, `UPDATE quota SET available = 0, taken_at = now() + interval '1 hour', slowed_to = 5, slowed_at = now() + interval '1 hour'`)
	id := h.accept(t, o, 2)[0]
	h.pass(t, 1)
	h.requireSent(t, o, id)
	if n := h.count(t, "SELECT count(*) FROM quota WHERE taken_at <= clock_timestamp() AND available < 1"); n != 1 {
		t.Error("what is there is still counted from a time to come")
	}
	if rate := h.count(t, "SELECT quota_rate(quota, 0.01)::integer FROM quota"); rate != 5 {
		t.Errorf("the rate is %d", rate)
	}
	slowed, err := h.store.Queries().QuotaCutRate(t.Context(), db.QuotaCutRateParams{Climb: 0.01, Cut: 0.5, Pause: 1})
	must(t, err)
	if slowed != 1 || h.count(t, "SELECT count(*) FROM quota WHERE slowed_to = 2.5 AND slowed_at <= clock_timestamp()") != 1 {
		t.Error("the rate cannot be cut")
	}
}

func TestAtLowRatesOnlyTheMissingPartIsWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.worker = h.newWorker(t, func(c *worker.Config) {
		c.FetchQuota = func(context.Context) (ses.Quota, error) { return ses.Quota{Max24Hour: -1, MaxPerSecond: 0.5}, nil }
	})
	must(t, h.worker.Sending.RefreshQuota(t.Context()))
	id := h.accept(t, o, 1)[0]
	// taken_at is in the future, so that nothing is added however long this takes.
	h.exec(t, "UPDATE quota SET available = 0.7, taken_at = clock_timestamp() + interval '900 milliseconds'")
	h.pass(t, 0)
	h.exec(t, "UPDATE quota SET available = 1")
	h.clock.advance(600 * time.Millisecond) // 0.3 at 0.5 a second
	h.pass(t, 1)
	h.requireSent(t, o, id)
}

func TestUnknownQuotaIsSmall(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.accept(t, o, 20)
	h.worker = h.newWorker(t, func(c *worker.Config) {
		c.FetchQuota = func(context.Context) (ses.Quota, error) { return ses.Quota{}, errors.New("not allowed") }
	})
	if _, err := h.worker.RunOnce(t.Context()); err == nil {
		t.Error("that the quota cannot be read is not told")
	}
	claimed, err := h.worker.RunOnce(t.Context())
	must(t, err)
	if claimed < 1 || claimed > 2 {
		t.Errorf("it claims %d at once", claimed)
	}
}
