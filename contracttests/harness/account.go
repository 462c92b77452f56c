package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/store"
)

const countTimeout = 5 * time.Second

// Count returns the result of a counting query, or zero when Postgres does not respond.
func Count(ctx context.Context, database *store.Store, query string) (n int64) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	if err := database.Pool().QueryRow(ctx, query).Scan(&n); err != nil {
		return 0
	}
	return n
}

// Leases returns the number of messages that workers hold. Without Postgres it is zero: no worker can take any.
func Leases(ctx context.Context, database *store.Store) int64 {
	return Count(ctx, database, "SELECT count(*) FROM sends WHERE leased_until IS NOT NULL")
}

// AwaitSent waits until no message is queued, and returns how many still are at the limit.
func AwaitSent(ctx context.Context, database *store.Store, limit time.Time) (waiting int, err error) {
	for {
		if err := database.Pool().QueryRow(ctx, "SELECT count(*) FROM sends").Scan(&waiting); err != nil {
			return 0, fmt.Errorf("count the queued messages: %w", err)
		}
		if waiting == 0 || time.Now().After(limit) {
			return waiting, nil
		}
		if backoff.Sleep(ctx, 50*look) != nil {
			return waiting, ctx.Err()
		}
	}
}

// LastWords returns the end of a process's log.
func (h *Harness) LastWords(name string) string {
	const enough = 2000
	said, err := os.ReadFile(filepath.Join(h.Folder, name+".log"))
	if err != nil {
		return err.Error()
	}
	return string(said[max(0, len(said)-enough):])
}

// KeepLogs copies the logs of a run into a folder, unless its name is empty.
func (h *Harness) KeepLogs(folder string) error {
	if folder == "" {
		return nil
	}
	logs, err := filepath.Glob(filepath.Join(h.Folder, "*.log"))
	if err != nil {
		return fmt.Errorf("find the logs: %w", err)
	}
	failures := []error{os.MkdirAll(folder, 0o700)}
	for _, log := range logs {
		content, err := os.ReadFile(log)
		failures = append(failures, err, os.WriteFile(filepath.Join(folder, filepath.Base(log)), content, 0o600))
	}
	return errors.Join(failures...)
}
