package sending

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// quotaMaxAge is how long what was left of the day is believed. After that SES's own refusals tell.
	quotaMaxAge = 5 * time.Minute
	// assumedRate is for an account that does not let us ask. It is what AWS gives those that leave the sandbox.
	assumedRate = 14.0
	// burstSeconds is how much of the rate is kept for those who come, in seconds. SES itself tolerates short bursts.
	burstSeconds = 0.2
	// claimInterval is how soon a worker looks again that could take nothing: what is in hand at once is this long's worth of the
	// rate, so that a message that comes now is behind no more than that.
	claimInterval = 100 * time.Millisecond
	// quotaPause is how soon it looks again when the day is used up.
	quotaPause = 5 * time.Second
	// decreaseFactor and climb are the answer to throttling: multiplicative down, at most once within cutPause, since messages that
	// are under way say nothing about the new rate; additive up, as a share of the account's rate each second.
	decreaseFactor, recoverPerSecond = 0.7, 0.01
	minDecreaseInterval              = 500 * time.Millisecond
	// What a worker takes ahead of its need saves it from asking for every claim: these parts of a second's worth, much
	// when it found more than it could take, little when it did not, since what it does not use in time is lost.
	prefetchBusy, prefetchIdle = 1.0 / 20, 1.0 / 1000
	prefetchTTL                = 500 * time.Millisecond
)

// errNoQuota: nobody has asked SES yet.
var errNoQuota = errors.New("the quota is not known")

// limiter keeps all workers together within the account's sending rate and daily quota, counted by recipients as SES
// does. What may be sent is a row (table quota) of which a claim of messages takes in its own transaction: a claim that
// finds nothing takes nothing, and what no worker takes is there for the others. An account with a high rate does
// not make the row busy: a worker takes ahead for a few hundredths of a second.
type sendLimiter struct {
	fetch func(ctx context.Context) (ses.Quota, error) // nil: nothing is limited

	mu              sync.Mutex
	prefetched      float64 // taken ahead
	prefetchExpires time.Time
	pausedUntil     time.Time
	timer           *time.Timer
}

// grant is what one claim may send.
type grant struct {
	messages   int32
	prefetched float64
	row        *db.QuotaLockRow // nil: the stock is enough
}

// reserve says how many of the wanted messages may be claimed. The row stays locked until the transaction ends.
func (g *sendLimiter) reserve(ctx context.Context, tx *db.Queries, now time.Time, wanted int32) (grant, error) {
	if g.fetch == nil {
		return grant{messages: wanted, prefetched: math.Inf(1)}, nil
	}
	given := grant{messages: wanted, prefetched: g.available(now)}
	if given.prefetched >= float64(wanted) {
		return given, nil
	}
	row, err := tx.QuotaLock(ctx, db.QuotaLockParams{Burst: burstSeconds, Climb: recoverPerSecond, Believed: quotaMaxAge.Seconds()})
	if store.IsNoRows(err) {
		return grant{}, errNoQuota
	}
	if err != nil {
		return grant{}, fmt.Errorf("look at the quota: %w", err)
	}
	given.row = &row
	given.messages = int32(max(0, math.Floor(min(float64(wanted), given.budget()))))
	return given, nil
}

// budget is how many recipients may be sent to.
func (g grant) budget() float64 {
	if g.row == nil {
		return g.prefetched
	}
	return g.prefetched + min(g.row.Available, g.row.DayLeft)
}

// fit is how many of the messages may be sent. As with SES, one with many recipients passes while anything is left,
// and those that follow pay the debt: none has too many to be sent ever.
func (g grant) fit(group []message) (messages int, recipients float64) {
	for _, m := range group {
		if m.cost() > 0 && g.budget()-recipients < 1 {
			break
		}
		recipients += m.cost()
		messages++
	}
	return messages, recipients
}

// spend takes what a claim sends, and something ahead. It returns what is in stock then, and what is left for everybody.
func (g grant) spend(ctx context.Context, tx *db.Queries, recipients float64) (stock, rest float64, err error) {
	stock = max(0, g.prefetched-recipients)
	missing := max(0, recipients-g.prefetched)
	if g.row == nil {
		if missing == 0 {
			return stock, 0, nil
		}
		if err := tx.QuotaOverdraw(ctx, missing); err != nil {
			return 0, 0, fmt.Errorf("take more of the quota: %w", err)
		}
		return 0, 0, nil
	}
	ahead := prefetchIdle
	if recipients >= float64(g.messages) {
		ahead = prefetchBusy
	}
	rest = g.row.Available - missing
	more := max(0, min(rest, g.row.DayLeft-missing, g.row.Rate*ahead-stock))
	rest -= more
	if err := tx.QuotaSpend(ctx, db.QuotaSpendParams{Rest: rest, Now: g.row.Now, Taken: missing + more}); err != nil {
		return 0, 0, fmt.Errorf("take of the quota: %w", err)
	}
	return stock + more, rest, nil
}

func (g *sendLimiter) available(now time.Time) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.After(g.prefetchExpires) {
		return 0
	}
	return g.prefetched
}

// setPrefetched notes what a claim that is committed has left in stock.
func (g *sendLimiter) setPrefetched(now time.Time, stock float64, renewed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.prefetched = stock
	if renewed {
		g.prefetchExpires = now.Add(prefetchTTL)
	}
}

// pauseUntil keeps this process from asking for a while.
func (g *sendLimiter) pauseUntil(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pausedUntil = until
}

// unstored is how long it still does.
func (g *sendLimiter) pausedFor(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pausedUntil.Sub(now)
}

// wakeAfter calls wake in a while. There is one alarm: a later call replaces an earlier one.
func (g *sendLimiter) wakeAfter(wait time.Duration, wake func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer == nil {
		g.timer = time.AfterFunc(wait, wake)
		return
	}
	g.timer.Reset(wait)
}

// RefreshQuota asks SES what the account may send.
func (s *Sender) RefreshQuota(ctx context.Context) error {
	queries := s.config.Store.Queries()
	quota, err := s.config.FetchQuota(ctx)
	if err != nil {
		if err := queries.QuotaInsertDefault(ctx, assumedRate); err != nil {
			return fmt.Errorf("assume a quota: %w", err)
		}
		return fmt.Errorf("ask SES for the quota: %w", err)
	}
	params := db.QuotaUpsertParams{PerSecond: max(0, quota.MaxPerSecond)}
	if quota.Max24Hour >= 0 {
		left := quota.Max24Hour - quota.SentLast24Hours
		params.DayLeft = &left
	}
	if err := queries.QuotaUpsert(ctx, params); err != nil {
		return fmt.Errorf("store the quota: %w", err)
	}
	return nil
}

// cutRate cuts the rate of all workers, as SES throttles in spite of the quota that it told.
func (s *Sender) cutRate(ctx context.Context) {
	if s.limiter.fetch == nil {
		return
	}
	s.limiter.setPrefetched(s.config.Now(), 0, false)
	slowed, err := s.config.Store.Queries().QuotaCutRate(ctx, db.QuotaCutRateParams{Climb: recoverPerSecond, Cut: decreaseFactor, Pause: minDecreaseInterval.Seconds()})
	if err != nil {
		s.config.Log.WarnContext(ctx, "the sending rate could not be cut", "error", err)
		return
	}
	if slowed > 0 && s.attemptLogs.Allow("rate cut", s.config.Now()) {
		s.config.Log.WarnContext(ctx, "SES throttles: mail is sent more slowly, and faster again by and by",
			slog.Float64("cut_to", decreaseFactor))
	}
}
