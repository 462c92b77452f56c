package store

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/backoff"
)

// attachPause is how long attaching an index waits before the next try.
const attachPause = time.Second

// partitionIndex is an index of a partitioned table that one of its partitions lacks.
type partitionIndex struct {
	parent, partition string
	// name is the name of the partition's index: the parent's, with the partition in place of the table, which [Constraint] knows.
	name string
	// definition is how the parent's index is created.
	definition string
	// made says that an earlier attempt created the partition's index, valid that it also completed it.
	made, valid bool
}

// buildPartitionIndexes completes the indexes that migrations create ON ONLY a partitioned table: each partition gets its
// own, built CONCURRENTLY, which blocks no reads and writes, and attached. The parent's index becomes valid with the last.
// CREATE INDEX on the parent itself would block all writes until every partition is done, and has no CONCURRENTLY.
// https://www.postgresql.org/docs/15/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE
func buildPartitionIndexes(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	missing, err := missingPartitionIndexes(ctx, conn)
	if err != nil || len(missing) == 0 {
		return err
	}
	// CONCURRENTLY waits for every transaction that is open, such as a pg_dump, while no other statement waits for it.
	if _, err := conn.Exec(ctx, "SET lock_timeout = 0"); err != nil {
		return fmt.Errorf("building indexes of partitions: %w", err)
	}
	for _, index := range missing {
		if err := index.build(ctx, conn); err != nil {
			return fmt.Errorf("building index %s on %s: %w", index.parent, index.partition, err)
		}
		log.InfoContext(ctx, "built the index of a partition", "index", index.parent, "partition", index.partition)
	}
	if _, err := conn.Exec(ctx, "RESET lock_timeout"); err != nil {
		return fmt.Errorf("building indexes of partitions: %w", err)
	}
	return nil
}

func (i partitionIndex) build(ctx context.Context, conn *pgx.Conn) error {
	name := pgx.Identifier{i.name}.Sanitize()
	if i.made && !i.valid {
		if _, err := conn.Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+name); err != nil {
			return err
		}
	}
	if !i.valid {
		on := "INDEX CONCURRENTLY " + name + " ON " + pgx.Identifier{i.partition}.Sanitize() + " USING"
		if _, err := conn.Exec(ctx, onlyParent.ReplaceAllLiteralString(i.definition, on)); err != nil {
			return err
		}
	}
	return i.attach(ctx, conn, name)
}

// onlyParent is the part of a definition that names the parent.
var onlyParent = regexp.MustCompile(`INDEX .* ON ONLY \S+ USING`)

// attach waits for its lock only as long as the statements behind it can bear, and then tries again.
func (i partitionIndex) attach(ctx context.Context, conn *pgx.Conn, name string) error {
	for {
		_, err := conn.Exec(ctx, "SET lock_timeout = '"+partitionLockTimeout+"'")
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "ALTER INDEX "+pgx.Identifier{i.parent}.Sanitize()+" ATTACH PARTITION "+name)
		if err != nil && !IsLockTimeout(err) {
			return err
		}
		if _, reset := conn.Exec(ctx, "SET lock_timeout = 0"); reset != nil || err == nil {
			return reset
		}
		if err := backoff.Sleep(ctx, attachPause); err != nil {
			return err
		}
	}
}

// missingPartitionIndexes lists, for each index of a partitioned table that is not valid yet, the partitions without it.
func missingPartitionIndexes(ctx context.Context, conn *pgx.Conn) ([]partitionIndex, error) {
	rows, err := conn.Query(ctx, `SELECT missing.parent, missing.partition, missing.name, missing.definition,
			made.indexrelid IS NOT NULL, coalesce(made.indisvalid, false)
		FROM (
			SELECT index.relname::text AS parent, child.relname::text AS partition, pg_get_indexdef(index.oid) AS definition,
				child.relname || CASE WHEN starts_with(index.relname, owner.relname)
					THEN substr(index.relname, length(owner.relname) + 1) ELSE '_' || index.relname END AS name
			FROM pg_index AS parent
			JOIN pg_class AS index ON index.oid = parent.indexrelid AND index.relkind = 'I'
			JOIN pg_class AS owner ON owner.oid = parent.indrelid
			JOIN pg_inherits AS inherited ON inherited.inhparent = owner.oid AND NOT inherited.inhdetachpending
			JOIN pg_class AS child ON child.oid = inherited.inhrelid
			WHERE NOT parent.indisvalid AND index.relnamespace = current_schema()::regnamespace AND NOT EXISTS (
				SELECT FROM pg_inherits AS attached JOIN pg_index AS own ON own.indexrelid = attached.inhrelid
				WHERE attached.inhparent = parent.indexrelid AND own.indrelid = child.oid
			)
		) AS missing
		LEFT JOIN pg_index AS made ON made.indexrelid = to_regclass(quote_ident(missing.name))
		ORDER BY missing.parent, missing.partition`)
	if err != nil {
		return nil, fmt.Errorf("listing the indexes of partitions: %w", err)
	}
	missing, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i partitionIndex, err error) {
		err = row.Scan(&i.parent, &i.partition, &i.name, &i.definition, &i.made, &i.valid)
		return i, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the indexes of partitions: %w", err)
	}
	return missing, nil
}
