package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// partitionedTables are the tables with a partition per month. The migrations have the same list.
var partitionedTables = []string{"emails", "recipients", "contents", "events", "email_tags"} //nolint:gochecknoglobals // a read-only table

// EnsurePartitions creates the missing partitions from the month before now to three months after it. Several processes
// may do so at once.
func (s *Store) EnsurePartitions(ctx context.Context, now time.Time) error {
	if _, err := s.pool.Exec(ctx, "SELECT ensure_partitions($1)", now); err != nil {
		return fmt.Errorf("creating partitions: %w", err)
	}
	return nil
}

// DropPartitions drops the partitions of a table whose month, in UTC, had ended at olderThan, and returns their names,
// oldest first. It gives up on a partition that stays locked for a second, so that other statements do not queue up
// behind the DROP; what it dropped before stays dropped.
func (s *Store) DropPartitions(ctx context.Context, table string, olderThan time.Time) ([]string, error) {
	if !slices.Contains(partitionedTables, table) {
		return nil, fmt.Errorf("dropping partitions: %q has none", table)
	}
	rows, err := s.pool.Query(ctx, `SELECT child.relname::text
		FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
		WHERE inhparent = $1::text::regclass ORDER BY child.relname`, table)
	if err != nil {
		return nil, fmt.Errorf("listing the partitions of %s: %w", table, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("listing the partitions of %s: %w", table, err)
	}
	var dropped []string
	for _, name := range names {
		month, err := time.Parse("2006_01", strings.TrimPrefix(name, table+"_"))
		if err != nil {
			return dropped, fmt.Errorf("the month of partition %s: %w", name, err)
		}
		if month.AddDate(0, 1, 0).After(olderThan) {
			continue
		}
		if err := s.dropPartition(ctx, name); err != nil {
			return dropped, err
		}
		dropped = append(dropped, name)
	}
	return dropped, nil
}

func (s *Store) dropPartition(ctx context.Context, name string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '1s'"); err != nil {
			return err
		}
		// Another process may have dropped it before.
		_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+pgx.Identifier{name}.Sanitize())
		return err
	})
	if err != nil {
		return fmt.Errorf("dropping partition %s: %w", name, err)
	}
	return nil
}
