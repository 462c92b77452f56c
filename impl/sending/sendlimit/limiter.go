// Package sendlimit keeps all workers together within the sending rate and daily quota of the SES account.
package sendlimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// quotaMaxAge is how long what SES last reported as left of the day is trusted. After that only SES's own
	// refusals limit.
	quotaMaxAge = 5 * time.Minute
	// assumedRate is the rate of an account that does not let us read its quota: what AWS grants when an account
	// leaves the sandbox, in recipients per second.
	assumedRate = 14.0
	// burstSeconds is how many seconds' worth of unused rate is kept. SES itself tolerates short bursts.
	burstSeconds = 0.2
	// DecreaseFactor and recoverPerSecond adapt the rate when SES throttles. Each cut multiplies it by
	// DecreaseFactor, at most once within minDecreaseInterval, since messages that are in flight say nothing about
	// the new rate. It then recovers by recoverPerSecond of the account's rate each second.
	DecreaseFactor, recoverPerSecond = 0.7, 0.01
	minDecreaseInterval              = 500 * time.Millisecond
	// prefetchBusy and prefetchIdle are the shares of a second's rate that a worker prefetches, so that not every
	// claim reads the row: prefetchBusy when the claim used all that it was granted, else prefetchIdle, since a
	// prefetched amount that is not used within prefetchTTL is lost.
	prefetchBusy, prefetchIdle = 1.0 / 20, 1.0 / 1000
	prefetchTTL                = 500 * time.Millisecond
)

// ErrNoQuota is returned when the quota has not been read from SES yet.
var ErrNoQuota = errors.New("the quota is not known")

// Limiter keeps all workers together within the account's sending rate and daily quota, counted by recipients
// as SES does. It is a token bucket with additive increase and multiplicative decrease (AIMD). The bucket is a row
// (table quota) from which a claim of messages takes in its own transaction: a claim without messages takes
// nothing, and what one worker leaves is there for the others. A high rate does not make the row busy, because a
// worker prefetches the quota of a few hundredths of a second.
type Limiter struct {
	store *store.Store
	fetch func(ctx context.Context) (ses.Quota, error) // nil means no limit

	mu              sync.Mutex
	prefetched      float64 // recipients that this process took of the row and has not used
	prefetchExpires time.Time
	pausedUntil     time.Time
	timer           *time.Timer
}

// New returns a limiter of the quota that fetch reads from SES. A nil fetch means no limit.
func New(database *store.Store, fetch func(ctx context.Context) (ses.Quota, error)) *Limiter {
	return &Limiter{store: database, fetch: fetch}
}

// IsLimited reports whether there is a limit.
func (g *Limiter) IsLimited() bool { return g.fetch != nil }

// Grant is what one claim may send.
type Grant struct {
	Messages   int32
	prefetched float64
	Row        *db.QuotaLockRow // nil means that the prefetched amount is enough
}

// Reserve returns how many of the wanted messages may be claimed. If it reads the row, the row stays locked until
// the transaction ends.
func (g *Limiter) Reserve(ctx context.Context, tx *db.Queries, now time.Time, wanted int32) (Grant, error) {
	if g.fetch == nil {
		return Grant{Messages: wanted, prefetched: math.Inf(1)}, nil
	}
	given := Grant{Messages: wanted, prefetched: g.available(now)}
	if given.prefetched >= float64(wanted) {
		return given, nil
	}
	row, err := tx.QuotaLock(ctx, db.QuotaLockParams{Burst: burstSeconds, Climb: recoverPerSecond, Believed: quotaMaxAge.Seconds()})
	if store.IsNoRows(err) {
		return Grant{}, ErrNoQuota
	}
	if err != nil {
		return Grant{}, fmt.Errorf("look at the quota: %w", err)
	}
	given.Row = &row
	given.Messages = int32(max(0, math.Floor(min(float64(wanted), given.Budget()))))
	return given, nil
}

// Budget returns how many recipients may be sent to.
func (g Grant) Budget() float64 {
	if g.Row == nil {
		return g.prefetched
	}
	return g.prefetched + min(g.Row.Available, g.Row.DayLeft)
}

// Fit returns how many messages of the given costs may be sent, and their recipients. As with SES, a message with many
// recipients passes while at least one recipient is left, and the messages after it pay the debt: no message is
// too large to be sent.
func (g Grant) Fit(costs []float64) (messages int, recipients float64) {
	for _, cost := range costs {
		if cost > 0 && g.Budget()-recipients < 1 {
			break
		}
		recipients += cost
		messages++
	}
	return messages, recipients
}

// Spend takes what a claim sends from the quota, and prefetches more. It returns what is then prefetched (stock),
// and what is left in the row for all workers (rest).
func (g Grant) Spend(ctx context.Context, tx *db.Queries, recipients float64) (stock, rest float64, err error) {
	stock = max(0, g.prefetched-recipients)
	missing := max(0, recipients-g.prefetched)
	if g.Row == nil {
		if missing == 0 {
			return stock, 0, nil
		}
		if err := tx.QuotaOverdraw(ctx, missing); err != nil {
			return 0, 0, fmt.Errorf("take more of the quota: %w", err)
		}
		return 0, 0, nil
	}
	ahead := prefetchIdle
	if recipients >= float64(g.Messages) {
		ahead = prefetchBusy
	}
	rest = g.Row.Available - missing
	more := max(0, min(rest, g.Row.DayLeft-missing, g.Row.Rate*ahead-stock))
	rest -= more
	if err := tx.QuotaSpend(ctx, db.QuotaSpendParams{Rest: rest, Now: g.Row.Now, Taken: missing + more}); err != nil {
		return 0, 0, fmt.Errorf("take of the quota: %w", err)
	}
	return stock + more, rest, nil
}

func (g *Limiter) available(now time.Time) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.After(g.prefetchExpires) {
		return 0
	}
	return g.prefetched
}

// SetPrefetched stores the amount that a committed claim has left prefetched. renewed means that it was taken from
// the row just now.
func (g *Limiter) SetPrefetched(now time.Time, stock float64, renewed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.prefetched = stock
	if renewed {
		g.prefetchExpires = now.Add(prefetchTTL)
	}
}

// PauseUntil keeps this process from claiming before until.
func (g *Limiter) PauseUntil(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pausedUntil = until
}

// PausedFor returns how long that pause still takes.
func (g *Limiter) PausedFor(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pausedUntil.Sub(now)
}

// WakeAfter calls wake after wait. There is one timer: a later call replaces an earlier one.
func (g *Limiter) WakeAfter(wait time.Duration, wake func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer == nil {
		g.timer = time.AfterFunc(wait, wake)
		return
	}
	g.timer.Reset(wait)
}

// Refresh reads from SES what the account may send, and stores it. When that fails and no quota is stored
// yet, it stores the assumed rate.
func (g *Limiter) Refresh(ctx context.Context) error {
	queries := g.store.Queries()
	quota, err := g.fetch(ctx)
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

// CutRate cuts the rate of all workers, because SES throttles below the quota that it reported. It reports whether it did.
func (g *Limiter) CutRate(ctx context.Context, now time.Time) (bool, error) {
	if g.fetch == nil {
		return false, nil
	}
	g.SetPrefetched(now, 0, false)
	slowed, err := g.store.Queries().QuotaCutRate(ctx, db.QuotaCutRateParams{Climb: recoverPerSecond, Cut: DecreaseFactor, Pause: minDecreaseInterval.Seconds()})
	return slowed > 0, err
}
