package store_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/voostack/mailstack/schema"
)

// lastFree is the last migration that the rule about locks does not bind: released, and never edited.
const lastFree = 15

// smallTables have a few rows for each organization, so that reading or writing all of them takes milliseconds. Every
// other table grows with the mail that is sent.
func smallTables() []string {
	return []string{
		"organizations", "api_keys", "identities", "domains", "domain_checks", "templates", "template_versions",
		"webhooks", "usage_periods", "quota",
	}
}

// TestMigrationsDoNotLockTables: a migration runs while the old binary serves requests, so that none may lock a table that
// grows with mail for as long as it takes to read or write that table.
func TestMigrationsDoNotLockTables(t *testing.T) {
	t.Parallel()
	tables := knownTables{}
	files, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(schema.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		version, err := goose.NumericComponent(file)
		if err != nil {
			t.Fatal(err)
		}
		found := tables.refuse(string(text))
		if version <= lastFree {
			continue
		}
		for _, problem := range found {
			t.Errorf("schema/%s: %s", file, problem)
		}
	}
}

// TestMigrationsThatLockTablesAreRefused holds the rule itself: what it refuses, and what it lets pass.
func TestMigrationsThatLockTablesAreRefused(t *testing.T) {
	t.Parallel()
	const apart = "-- +goose NO TRANSACTION\n"
	for statement, want := range map[string]string{
		"CREATE INDEX a_idx ON notifications (received_at);":                                                   "CONCURRENTLY",
		"CREATE UNIQUE INDEX a_idx ON emails (id);":                                                            "ON ONLY",
		"CREATE INDEX CONCURRENTLY a_idx ON notifications (received_at);":                                      "NO TRANSACTION",
		apart + "SET lock_timeout = 0; CREATE INDEX CONCURRENTLY a_idx ON notifications (received_at);":        "DROP INDEX CONCURRENTLY IF EXISTS a_idx",
		apart + "DROP INDEX CONCURRENTLY IF EXISTS a_idx; CREATE INDEX CONCURRENTLY a_idx ON sends (x);":       "lock_timeout",
		"DROP INDEX notifications_due_idx;":                                                                    "CONCURRENTLY",
		"ALTER TABLE sends ADD CONSTRAINT positive CHECK (attempt >= 0);":                                      "NOT VALID",
		"ALTER TABLE emails ADD COLUMN a integer CHECK (a > 0);":                                               "constraint",
		"ALTER TABLE emails\n ADD COLUMN IF NOT EXISTS a uuid DEFAULT gen_random_uuid();":                      "rewrites",
		"ALTER TABLE sends ADD COLUMN a bigint GENERATED ALWAYS AS IDENTITY;":                                  "rewrites",
		"ALTER TABLE events ALTER COLUMN type TYPE varchar;":                                                   "rewrites",
		"ALTER TABLE events ALTER COLUMN data SET NOT NULL;":                                                   "reads the whole table",
		"ALTER TABLE sends ADD CONSTRAINT a CHECK (x > 0) NOT VALID; ALTER TABLE sends VALIDATE CONSTRAINT a;": "file of its own",
		"UPDATE deliveries SET attempt = 0;":                                                                   "in batches",
		"DELETE FROM notifications;":                                                                           "in batches",
		"TRUNCATE sends;":                                                                                      "locks",
		"CREATE TABLE emails_2030_01 PARTITION OF emails DEFAULT;":                                             "ATTACH",
		"-- +goose StatementBegin\nDO $$ BEGIN ALTER TABLE events ALTER COLUMN data SET NOT NULL; END $$;":     "reads the whole table",
	} {
		found := releasedTables(t).refuse("-- +goose Up\n" + statement)
		if len(found) != 1 || !strings.Contains(found[0], want) {
			t.Errorf("%s\nis answered with %q, not with %q", statement, found, want)
		}
	}
	for _, statement := range []string{
		"CREATE TABLE streams (id uuid); CREATE INDEX streams_idx ON streams (id); UPDATE streams SET id = id;",
		"CREATE TABLE parts (id uuid) PARTITION BY RANGE (id); CREATE INDEX parts_idx ON parts (id);",
		"CREATE INDEX a_idx ON ONLY emails (organization_id); DROP INDEX emails_status_idx;",
		"ALTER TABLE organizations ADD COLUMN a integer CHECK (a > 0); CREATE INDEX a_idx ON organizations (a);",
		"UPDATE organizations SET name = name; ALTER TABLE organizations ALTER COLUMN name SET NOT NULL;",
		"ALTER TABLE emails ADD COLUMN a integer NOT NULL DEFAULT 0, ADD COLUMN at timestamptz DEFAULT now();",
		"ALTER TABLE sends SET (fillfactor = 70); ALTER TABLE sends ADD CONSTRAINT a CHECK (x > 0) NOT VALID;",
		"ALTER TABLE sends VALIDATE CONSTRAINT a;",
		apart + "SET lock_timeout = 0; DROP INDEX CONCURRENTLY IF EXISTS a_idx;\nCREATE UNIQUE INDEX CONCURRENTLY a_idx ON sends (x); RESET lock_timeout;",
		"CREATE OR REPLACE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE INDEX a ON emails (id); END $$;",
	} {
		if found := releasedTables(t).refuse("-- +goose Up\n" + statement); len(found) > 0 {
			t.Errorf("%s\nis refused: %q", statement, found)
		}
	}
}

// releasedTables returns the tables of the migrations that the rule does not bind.
func releasedTables(t *testing.T) knownTables {
	t.Helper()
	tables := knownTables{}
	files, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files[:lastFree] {
		text, err := fs.ReadFile(schema.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		tables.refuse(string(text))
	}
	return tables
}

// knownTables are the tables that exist before a migration: true if they have partitions. An index is known by the table
// that it belongs to.
type knownTables map[string]bool

// refuse returns what is wrong with a migration, and adds its tables to the known ones.
func (k knownTables) refuse(text string) []string {
	apart := strings.Contains(text, "-- +goose NO TRANSACTION")
	statements := statementsOf(text)
	made := knownTables{}
	var problems []string
	for i, statement := range statements {
		if name := group(`^create table (?:if not exists )?(\w+) \(`, statement); name != "" {
			made[name] = strings.Contains(statement, "partition by")
		}
		if index := createIndex.FindStringSubmatch(statement); index != nil {
			k["index "+index[2]] = k[index[4]]
			made["index "+index[2]] = true
		}
		if problem := k.problem(statement, statements[:i], apart); problem != "" {
			problems = append(problems, fmt.Sprintf("%s\n\t%s", problem, statement))
		}
	}
	for name, partitioned := range made {
		if !strings.HasPrefix(name, "index ") {
			k[name] = partitioned
		}
	}
	return problems
}

var createIndex = regexp.MustCompile(`^create (?:unique )?index (concurrently )?(?:if not exists )?(\w+) on (only )?(\w+)`)

// problem returns why a statement may not be in a migration, or nothing.
func (k knownTables) problem(statement string, before []string, apart bool) string {
	if index := createIndex.FindStringSubmatch(statement); index != nil {
		return k.indexProblem(index[1] != "", index[2], index[3] != "", index[4], before, apart)
	}
	if index := group(`^drop index (?:if exists )?(\w+)`, statement); index != "" && index != "concurrently" {
		if partitioned, known := k["index "+index]; known && !partitioned {
			return "an index is dropped CONCURRENTLY, in a migration with NO TRANSACTION"
		}
	}
	if parent := group(`partition of (\w+)`, statement); k.grows(parent) {
		return "a partition is made as a table and attached with ATTACH PARTITION, which does not lock its parent"
	}
	if table := group(`^(?:update|delete from) (?:only )?(\w+)`, statement); k.grows(table) {
		return "rows of a large table are written in batches, by a job, not in a migration"
	}
	if table := group(`^(?:truncate|lock|cluster|vacuum full|reindex)(?: table)? (?:only )?(\w+)`, statement); k.grows(table) {
		return "the statement locks the table"
	}
	if table := group(`^alter table (?:if exists )?(?:only )?(\w+)`, statement); k.grows(table) {
		return alterProblem(table, statement, before)
	}
	return ""
}

func (k knownTables) indexProblem(concurrently bool, name string, only bool, table string, before []string, apart bool) string {
	said := strings.Join(before, "\n")
	switch {
	case !k.grows(table):
		return ""
	case k[table] && !only:
		return "an index of a partitioned table is created ON ONLY the parent: migrate builds it on each partition, concurrently"
	case k[table]:
		return ""
	case !concurrently:
		return "an index is created CONCURRENTLY, in a migration with NO TRANSACTION"
	case !apart:
		return "CONCURRENTLY needs the line -- +goose NO TRANSACTION"
	case !strings.Contains(said, "drop index concurrently if exists "+name):
		return "an attempt that failed leaves an invalid index: first DROP INDEX CONCURRENTLY IF EXISTS " + name
	case !strings.Contains(said, "set lock_timeout = 0"):
		return "CONCURRENTLY waits for every open transaction: first SET lock_timeout = 0, at the end RESET lock_timeout"
	default:
		return ""
	}
}

func alterProblem(table, statement string, before []string) string {
	switch {
	case match(`add constraint|add check|add primary key|add unique|add foreign key`, statement) && !match(`not valid|using index`, statement):
		return "a constraint is added NOT VALID, and validated by a migration of its own"
	case match(`validate constraint`, statement) && slices.ContainsFunc(before, func(s string) bool { return match(`^alter table (?:only )?`+table+` `, s) }):
		return "VALIDATE CONSTRAINT belongs in a file of its own: ALTER TABLE before it holds its lock until the end"
	case match(`add column[^,]* (?:check|references|unique|primary key)`, statement):
		return "a constraint of a new column reads the whole table"
	case match(`generated|serial|set logged|set unlogged|set tablespace|alter (?:column )?\w+ (?:set data )?type `, statement),
		match(`default (?:gen_random_uuid|uuid_generate\w*|clock_timestamp|timeofday|random|nextval) ?\(`, statement):
		return "the statement rewrites the table"
	case match(`alter (?:column )?\w+ set not null`, statement):
		return "SET NOT NULL reads the whole table: add a CHECK (… IS NOT NULL) NOT VALID and validate it"
	default:
		return ""
	}
}

// grows reports whether a table exists and is not small.
func (k knownTables) grows(table string) bool {
	_, exists := k[table]
	return exists && !slices.Contains(smallTables(), table)
}

func match(pattern, statement string) bool { return regexp.MustCompile(pattern).MatchString(statement) }

func group(pattern, statement string) string {
	if found := regexp.MustCompile(pattern).FindStringSubmatch(statement); found != nil {
		return found[1]
	}
	return ""
}

// statementsOf returns the statements of a migration in lower case, with single spaces. The body of a function is left out,
// since it does not run; what a DO block runs is returned.
func statementsOf(text string) []string {
	text = regexp.MustCompile(`--[^\n]*`).ReplaceAllString(text, "")
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	text = regexp.MustCompile(`(?s)\bdo \$(\w*)\$ (.*?)\$\w*\$`).ReplaceAllStringFunc(text, func(block string) string {
		return strings.ReplaceAll(strings.ReplaceAll(block, "$$", ";"), "begin ", ";")
	})
	text = regexp.MustCompile(`(?s)\$\$.*?\$\$`).ReplaceAllString(text, "$$body$$")
	text = regexp.MustCompile(`'[^']*'`).ReplaceAllString(text, "''")
	var statements []string
	for statement := range strings.SplitSeq(text, ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			statements = append(statements, statement)
		}
	}
	return statements
}
