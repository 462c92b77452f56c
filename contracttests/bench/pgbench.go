package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/devdb"
)

// naive is the transaction of a server that does the steps of accepting a message one after another: key, domain,
// suppression, the rows, and last the counter, so that its lock is held as briefly as possible.
const naive = `
\set number random(1, 1000000000)
BEGIN;
SELECT api_keys.id, api_keys.organization_id, api_keys.scopes, organizations.suspended_at FROM api_keys
  JOIN organizations ON organizations.id = api_keys.organization_id
  WHERE api_keys.prefix = '{{prefix}}' AND api_keys.revoked_at IS NULL;
SELECT id FROM domains WHERE organization_id = '{{organization}}' AND name = '{{domain}}' AND status = 'Verified';
SELECT 1 FROM suppressions WHERE organization_id = '{{organization}}' AND address_key = 'user' || :number || '@example.com';
WITH made AS (SELECT ('{{head}}' || substr(gen_random_uuid()::text, 16))::uuid AS id),
email AS (INSERT INTO emails (id, organization_id, api_key_id, domain_id, from_email, from_name, to_email, cc, bcc, reply_to,
    subject, tags, queued_at, created_at)
  SELECT id, '{{organization}}', '{{key}}', '{{domain_id}}', 'hello@{{domain}}', '', 'user' || :number || '@example.com', '', '', '',
    'Welcome', '{}', now(), now() FROM made),
recipient AS (INSERT INTO recipients (email_id, position, organization_id, kind, name, address, address_key)
  SELECT id, 0, '{{organization}}', 'to', '', 'user' || :number || '@example.com', 'user' || :number || '@example.com' FROM made),
content AS (INSERT INTO contents (email_id, organization_id, html, text)
  SELECT id, '{{organization}}', '{{html}}', '' FROM made)
INSERT INTO sends (email_id, organization_id, due_at) SELECT id, '{{organization}}', now() FROM made;
UPDATE usage_periods SET emails_sent = emails_sent + 1
  WHERE organization_id = '{{organization}}' AND period_key = '{{period}}';
COMMIT;
`

// bare inserts the rows of a hundred messages and does nothing else.
const bare = `
\set number random(1, 1000000000)
WITH made AS MATERIALIZED (SELECT ('{{head}}' || substr(gen_random_uuid()::text, 16))::uuid AS id, 'user' || :number + i || '@example.com' AS address
    FROM generate_series(1, 100) AS i),
email AS (INSERT INTO emails (id, organization_id, api_key_id, domain_id, from_email, from_name, to_email, cc, bcc, reply_to,
    subject, tags, queued_at, created_at)
  SELECT id, '{{organization}}', '{{key}}', '{{domain_id}}', 'hello@{{domain}}', '', address, '', '', '', 'Welcome', '{}', now(), now()
  FROM made),
recipient AS (INSERT INTO recipients (email_id, position, organization_id, kind, name, address, address_key)
  SELECT id, 0, '{{organization}}', 'to', '', address, address FROM made),
content AS (INSERT INTO contents (email_id, organization_id, html, text)
  SELECT id, '{{organization}}', '{{html}}', '' FROM made)
INSERT INTO sends (email_id, organization_id, due_at) SELECT id, '{{organization}}', now() FROM made;
`

// pgbench runs a script with the given number of clients. It returns transactions per second and the mean latency.
func (w *world) pgbench(ctx context.Context, script string, clients int) (perSecond float64, latency time.Duration, err error) {
	prefix := strings.Split(w.tenant.Key, "_")[2]
	filled := strings.NewReplacer(
		"{{prefix}}", prefix, "{{organization}}", w.tenant.ID.String(), "{{key}}", w.tenant.KeyID.String(),
		"{{domain_id}}", w.tenant.DomainID.String(), "{{domain}}", w.tenant.Domain, "{{html}}", w.html,
		"{{period}}", time.Now().UTC().Format("2006-01"),
		// The leading digits of a version-7 id are its time, which selects the partition.
		"{{head}}", uuid.Must(uuid.NewV7()).String()[:15],
	).Replace(script)
	// The script has one statement per line; pgbench ends a statement at any semicolon, wherever it stands.
	path, err := w.file("script.sql", filled)
	if err != nil {
		return 0, 0, err
	}
	program, err := pgbenchProgram()
	if err != nil {
		return 0, 0, err
	}
	seconds := strconv.Itoa(max(1, int(w.set.each.Seconds())))
	command := exec.CommandContext(ctx, program, "--no-vacuum", "--protocol=prepared", "--client="+strconv.Itoa(clients),
		"--jobs="+strconv.Itoa(min(clients, 2)), "--time="+seconds, "--file="+path, w.harness.Postgres.DSN(devdb.Database))
	output, err := command.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("run pgbench: %w: %s", err, output)
	}
	perSecond, err = figure(output, `tps = ([0-9.]+)`)
	if err != nil {
		return 0, 0, err
	}
	milliseconds, err := figure(output, `latency average = ([0-9.]+) ms`)
	return perSecond, time.Duration(milliseconds * float64(time.Millisecond)), err
}

// pgbenchProgram returns the path of pgbench, which comes with the Postgres server and is not always on PATH.
func pgbenchProgram() (string, error) {
	program, err := exec.LookPath("pgbench")
	if err == nil {
		return program, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if len(found) == 0 {
		return "", fmt.Errorf("find pgbench, which comes with Postgres: %w", err)
	}
	return found[len(found)-1], nil
}

func figure(output []byte, pattern string) (float64, error) {
	found := regexp.MustCompile(pattern).FindSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("pgbench did not print %s: %s", pattern, output)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
