package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// partitionedTables are the tables with a partition per month. The migrations have the same list.
var partitionedTables = []string{"emails", "recipients", "contents", "events", "email_tags"} //nolint:gochecknoglobals // a read-only table

const (
	// monthsAhead is how many months have their partitions before they begin: time enough to notice that none are made.
	monthsAhead = 6
	// partitionLockTimeout bounds how long a change of a partition waits for a lock, because statements queue up behind it.
	partitionLockTimeout = "200ms"
	partitionMonthFormat = "2006_01"
)

// EnsurePartitions creates the missing partitions from the month before now to six months after it. Several processes may
// do so at once.
//
// A partition is made as a table of its own and then attached, which locks its parent against neither reads nor writes.
// CREATE TABLE … PARTITION OF would lock it against everything, behind every open SELECT (a pg_dump holds one for hours).
// https://www.postgresql.org/docs/15/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE
func (s *Store) EnsurePartitions(ctx context.Context, now time.Time) error {
	return s.withPartitionLock(ctx, func(conn *pgxpool.Conn) error {
		var failures []error
		for _, table := range partitionedTables {
			attached, err := partitionsOf(ctx, conn, table)
			if err != nil {
				return err
			}
			for months := -1; months <= monthsAhead; months++ {
				start := time.Date(now.UTC().Year(), now.UTC().Month()+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
				name := table + "_" + start.Format(partitionMonthFormat)
				if slices.ContainsFunc(attached, func(p partition) bool { return p.name == name }) {
					continue
				}
				if err := createPartition(ctx, conn, table, name, start); err != nil {
					failures = append(failures, fmt.Errorf("creating partition %s: %w", name, err))
				}
			}
		}
		return errors.Join(failures...)
	})
}

// MonthsAhead returns for how many months after this one every table has its partition, without a gap. At 0 the next
// month begins with sends that fail.
func (s *Store) MonthsAhead(ctx context.Context, now time.Time) (int, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting partitions: %w", err)
	}
	defer conn.Release()
	ahead := monthsAhead
	for _, table := range partitionedTables {
		found, err := partitionsOf(ctx, conn, table)
		if err != nil {
			return 0, err
		}
		for months := range ahead {
			start := time.Date(now.UTC().Year(), now.UTC().Month()+time.Month(months+1), 1, 0, 0, 0, 0, time.UTC)
			name := table + "_" + start.Format(partitionMonthFormat)
			if !slices.ContainsFunc(found, func(p partition) bool { return p.name == name && p.attached }) {
				ahead = months
				break
			}
		}
	}
	return ahead, nil
}

func createPartition(ctx context.Context, conn *pgxpool.Conn, table, name string, start time.Time) error {
	var from, to string
	err := conn.QueryRow(ctx, "SELECT uuid_floor($1)::text, uuid_floor($2)::text", start, start.AddDate(0, 1, 0)).Scan(&from, &to)
	if err != nil {
		return err
	}
	parent, child := pgx.Identifier{table}.Sanitize(), pgx.Identifier{name}.Sanitize()
	// The process may have died between the two statements before.
	if _, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+child+" (LIKE "+parent+" INCLUDING ALL)"+storageOf(table)); err != nil {
		return err
	}
	return withLockTimeout(ctx, conn, "ALTER TABLE "+parent+" ATTACH PARTITION "+child+" FOR VALUES FROM ('"+from+"') TO ('"+to+"')")
}

// storageOf returns the storage parameters of the partitions of a table, since a table with partitions has none to copy.
// Recipients are updated in groups, in the free half of their pages: schema/0037_recipient_updates.sql says why.
func storageOf(table string) string {
	if table == "recipients" {
		return " WITH (fillfactor = 50)"
	}
	return ""
}

// DropPartitions drops the partitions of a table whose month, in UTC, had ended at olderThan, and returns their names,
// oldest first. A partition is detached first, which locks its parent against neither reads nor writes. One that is in use
// is left for the next time, with an error for which [IsUnavailable] holds; one whose name has no month is an error, and
// keeps no other from being dropped.
func (s *Store) DropPartitions(ctx context.Context, table string, olderThan time.Time) (dropped []string, err error) {
	if !slices.Contains(partitionedTables, table) {
		return nil, fmt.Errorf("dropping partitions: %q has none", table)
	}
	err = s.withPartitionLock(ctx, func(conn *pgxpool.Conn) error {
		found, err := partitionsOf(ctx, conn, table)
		if err != nil {
			return err
		}
		var failures []error
		for _, one := range found {
			month, err := time.Parse(partitionMonthFormat, strings.TrimPrefix(one.name, table+"_"))
			if err != nil {
				failures = append(failures, fmt.Errorf("the month of partition %s: %w", one.name, err))
				continue
			}
			if month.AddDate(0, 1, 0).After(olderThan) {
				continue
			}
			if err := dropPartition(ctx, conn, table, one); err != nil {
				failures = append(failures, fmt.Errorf("dropping partition %s: %w", one.name, err))
				continue
			}
			dropped = append(dropped, one.name)
		}
		return errors.Join(failures...)
	})
	return dropped, err
}

func dropPartition(ctx context.Context, conn *pgxpool.Conn, table string, one partition) error {
	parent, child := pgx.Identifier{table}.Sanitize(), pgx.Identifier{one.name}.Sanitize()
	if one.attached {
		// An earlier attempt may have begun, and waited in vain for those that still read the partition.
		how := "CONCURRENTLY"
		if one.detaching {
			how = "FINALIZE"
		}
		if err := withLockTimeout(ctx, conn, "ALTER TABLE "+parent+" DETACH PARTITION "+child+" "+how); err != nil {
			return err
		}
	}
	return withLockTimeout(ctx, conn, "DROP TABLE IF EXISTS "+child)
}

// partition is a table that holds, or held, a month of another one.
type partition struct {
	name string
	// attached is false for a table that was detached or not yet attached; detaching holds while that is not complete.
	attached, detaching bool
}

// partitionsOf returns the partitions of a table in the order of their names, with the tables that have the name of one.
func partitionsOf(ctx context.Context, conn *pgxpool.Conn, table string) ([]partition, error) {
	rows, err := conn.Query(ctx, `SELECT child.relname::text, inherited.inhrelid IS NOT NULL, coalesce(inherited.inhdetachpending, false)
		FROM pg_class AS child
		JOIN pg_class AS parent ON parent.oid = $1::text::regclass AND parent.relnamespace = child.relnamespace
		LEFT JOIN pg_inherits AS inherited ON inherited.inhrelid = child.oid AND inherited.inhparent = parent.oid
		WHERE child.relkind = 'r' AND (inherited.inhrelid IS NOT NULL OR child.relname ~ ('^' || $1::text || '_[0-9]{4}_[0-9]{2}$'))
		ORDER BY child.relname`, table)
	if err != nil {
		return nil, fmt.Errorf("listing the partitions of %s: %w", table, err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one partition, err error) {
		err = row.Scan(&one.name, &one.attached, &one.detaching)
		return one, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the partitions of %s: %w", table, err)
	}
	return found, nil
}

// withPartitionLock runs do on a connection of its own while no other process changes partitions.
func (s *Store) withPartitionLock(ctx context.Context, do func(conn *pgxpool.Conn) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("changing partitions: %w", err)
	}
	defer conn.Release()
	const lock = "hashtext('mailstack.ensure_partitions')"
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock("+lock+")"); err != nil {
		return fmt.Errorf("waiting for another process that changes partitions: %w", err)
	}
	err = do(conn)
	finish, cancel := detach(ctx)
	defer cancel()
	if _, unlocked := conn.Exec(finish, "SELECT pg_advisory_unlock("+lock+")"); unlocked != nil {
		// The lock goes with its session.
		err = errors.Join(err, conn.Conn().Close(finish))
	}
	return err
}

// withLockTimeout runs a statement, which may be one that must not be in a transaction, and waits for locks as briefly as
// the statements behind it can bear.
func withLockTimeout(ctx context.Context, conn *pgxpool.Conn, statement string) error {
	if _, err := conn.Exec(ctx, "SET lock_timeout = '"+partitionLockTimeout+"'"); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, statement)
	finish, cancel := detach(ctx)
	defer cancel()
	if _, reset := conn.Exec(finish, "RESET lock_timeout"); reset != nil {
		err = errors.Join(err, conn.Conn().Close(finish))
	}
	return err
}
