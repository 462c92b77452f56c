package main

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The ids of the owners of the rows and of the resources in the paths of lists; they belong to the first rows.
const (
	organization = "01906b97-5c00-7000-8000-000000000001"
	stranger     = "01906b97-5c00-7000-8000-000000000002"
	key          = "01906b97-5c00-7000-8000-000000000003"
	busyEmail    = "01906b97-5c00-7001-8000-000000000001"
	busyTemplate = "01906b97-5c00-7005-8000-000000000001"
	busyWebhook  = "01906b97-5c00-7006-8000-000000000001"
)

// The rows are spread over five months from beginning on; all times are in milliseconds. Two groups of old rows
// come before all others: one row per millisecond, from the beginning and from the middle on. They match the
// frequent filters by whole pages, so that last pages are full. The other rows lie evenly around them, and none
// within the group in the middle.
const (
	beginning = 1719792000000 // 2024-07-01
	span      = 150 * day
	day       = 24 * 3600 * 1000
	oldRows   = 400
	rareRows  = 200
	earliest  = 0
	latest    = span + day
	// others is the start of the other rows.
	others = 3600 * 1000
	// middle is the time after one half of the other rows, however many they are.
	middle = others + span/2 + 1
)

// moment formats a time for a query.
func moment(ms int64) string {
	return time.UnixMilli(beginning + ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

//go:embed fill.sql
var statements string

// prepare makes what the statements need: partitions, owners, and the table scale_rows, whose rows stand for a row
// in every table.
func prepare(ctx context.Context, conn *pgx.Conn, rows int) error {
	preparation, _, _ := strings.Cut(statements, "-- end of preparation")
	for _, statement := range []string{
		fmt.Sprintf("SELECT ensure_partitions(to_timestamp(%d) + make_interval(months => m)) FROM generate_series(1, 5) AS m", beginning/1000),
		fmt.Sprintf(`INSERT INTO organizations (id, name, free_monthly_allowance, price_per_1k_cents, created_at)
			VALUES ('%s', 'ours', 0, 0, now()), ('%s', 'another', 0, 0, now())`, organization, stranger),
		preparation,
		fmt.Sprintf(`INSERT INTO scale_rows
			SELECT n, %[1]d + ms, to_timestamp((%[1]d + ms)::numeric / 1000), true, true, false
			FROM (SELECT n, CASE WHEN n <= %[2]d THEN n - 1 ELSE %[3]d + n - %[2]d - 1 END AS ms FROM generate_series(1, 2 * %[2]d) AS n) AS placed`,
			beginning, oldRows, middle),
		restOfRows(rows - 2*oldRows),
	} {
		if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("prepare the rows: %w", err)
		}
	}
	return nil
}

// restOfRows returns the statement for the other rows. They lie evenly, except for a second in the middle that
// holds old rows only. Every tenth belongs to the other organization; rare rows are ours and lie evenly among the
// others.
func restOfRows(count int) string {
	half := count / 2
	return fmt.Sprintf(`INSERT INTO scale_rows
		SELECT i + %[2]d, %[1]d + ms, to_timestamp((%[1]d + ms)::numeric / 1000), rare OR i %% 10 <> 0, false, rare
		FROM (
			SELECT i, %[3]d + i * %[5]d::bigint + CASE WHEN i > %[4]d THEN 1000 ELSE 0 END AS ms,
				i %% %[6]d = 1 AND i / %[6]d < %[7]d AS rare
			FROM generate_series(1, %[8]d) AS i
		) AS placed`,
		int64(beginning), 2*oldRows, others, half, span/2/half, count/rareRows, rareRows, count)
}

// fill inserts the old rows, or all others.
func fill(ctx context.Context, conn *pgx.Conn, old bool) error {
	_, work, _ := strings.Cut(statements, "-- end of preparation")
	named := strings.NewReplacer(
		":organization", quoted(organization), ":stranger", quoted(stranger), ":key", quoted(key), ":old", strconv.FormatBool(old),
		":busy_email", quoted(busyEmail), ":busy_template", quoted(busyTemplate), ":busy_webhook", quoted(busyWebhook),
	)
	// References are not checked: all of them lead to rows that are made here.
	for statement := range strings.SplitSeq("SET session_replication_role = replica;"+named.Replace(work)+"\nVACUUM ANALYZE", ";\n\n") {
		if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("fill the tables: %w", err)
		}
	}
	return nil
}

func quoted(id string) string { return "'" + id + "'::uuid" }
