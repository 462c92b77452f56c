package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
)

// lastUsedInterval is how far lastUsedAt may lag.
const lastUsedInterval = 2 * time.Second

// lastUsed collects when keys were used, to store the times in batches, so that a request costs no write.
type lastUsed struct {
	mutex sync.Mutex
	times map[uuid.UUID]time.Time
}

func (used *lastUsed) note(key uuid.UUID, now time.Time) {
	used.mutex.Lock()
	defer used.mutex.Unlock()
	if used.times == nil {
		used.times = make(map[uuid.UUID]time.Time)
	}
	used.times[key] = now
}

// take returns the collected times and clears them.
func (used *lastUsed) take() db.APIKeyTouchParams {
	used.mutex.Lock()
	defer used.mutex.Unlock()
	var touched db.APIKeyTouchParams
	for key, at := range used.times {
		touched.Ids = append(touched.Ids, key)
		touched.UsedAt = append(touched.UsedAt, at)
	}
	used.times = nil
	return touched
}

// FlushLastUsed stores when keys were used since the last flush.
func (a *Authenticator) FlushLastUsed(ctx context.Context) error {
	touched := a.lastUsed.take()
	if len(touched.Ids) == 0 {
		return nil
	}
	if err := a.config.Store.Queries().APIKeyTouch(ctx, touched); err != nil {
		return fmt.Errorf("record when keys were used: %w", err)
	}
	return nil
}

// Run stores when keys were used, every two seconds until ctx ends.
func (a *Authenticator) Run(ctx context.Context) {
	ticker := time.NewTicker(lastUsedInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			a.flush(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
			a.flush(ctx)
		}
	}
}

// flush loses the times of one interval if the database is unavailable. The times only inform people.
func (a *Authenticator) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastUsedInterval)
	defer cancel()
	if err := a.FlushLastUsed(ctx); err != nil {
		a.config.Log.LogAttrs(ctx, slog.LevelWarn, "key usage not recorded", slog.String("error", err.Error()))
	}
}
