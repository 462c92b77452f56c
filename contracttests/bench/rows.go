package main

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/store"
)

// rows compares the rate of single sends into an empty database with the rate into a database of many messages
// without bodies.
func (w *world) rows(ctx context.Context) error {
	if w.set.rows == 0 {
		return nil
	}
	w.report.Rows = rowFigures{Messages: w.set.rows}
	for _, one := range []struct {
		name     string
		messages int
		into     *figures
	}{{"empty", 0, &w.report.Rows.Empty}, {"full", w.set.rows, &w.report.Rows.Full}} {
		found, err := w.among(ctx, one.name, one.messages)
		if err != nil {
			return err
		}
		*one.into = found
	}
	return nil
}

func (w *world) among(ctx context.Context, name string, messages int) (figures, error) {
	database, err := w.harness.Database(ctx, name)
	if err != nil {
		return figures{}, err
	}
	defer database.Close()
	own := *w
	if own.tenant, err = harness.NewTenant(ctx, database, plenty); err != nil {
		return figures{}, err
	}
	if err := fill(ctx, database, own.tenant, messages, false); err != nil {
		return figures{}, err
	}
	at, err := own.serve(ctx, name, name)
	if err != nil {
		return figures{}, err
	}
	defer at.Kill()
	load, err := own.drive(ctx, at, most, singlePath, own.single)
	if err != nil {
		return figures{}, err
	}
	return figures{load.PerSecond(), milliseconds(load.Percentile(50)), milliseconds(load.Percentile(99))}, at.Stop()
}

// fill stores messages as acceptance would, one for every millisecond until now: queued with their bodies, or sent
// and without.
func fill(ctx context.Context, database *store.Store, tenant harness.Tenant, messages int, queued bool) error {
	if err := fillRows(ctx, database, tenant, messages, queued); err != nil {
		return err
	}
	return settle(ctx, database)
}

func fillRows(ctx context.Context, database *store.Store, tenant harness.Tenant, messages int, queued bool) error {
	const step = 50_000
	for done := 0; done < messages; done += step {
		_, err := database.Pool().Exec(ctx, `
WITH made AS MATERIALIZED (
    SELECT uuid_beside(uuid_floor(now() - ($8::bigint - i) * interval '1 millisecond')) AS id,
        'user' || i || '@example.com' AS address
    FROM generate_series($1::bigint, $2::bigint) AS i
),
email AS (
    INSERT INTO emails (id, organization_id, api_key_id, domain_id, from_email, from_name, to_email, cc, bcc, reply_to, subject,
        tags, outcome, queued_at, created_at)
    SELECT id, $3, $4, $5, 'hello@' || $6, '', address, '', '', '', 'Welcome', '{}', CASE WHEN $7 THEN 0 ELSE 2 END, now(), now()
    FROM made
),
recipient AS (
    INSERT INTO recipients (email_id, position, organization_id, kind, name, address, address_key, outcome)
    SELECT id, 0, $3, 'to', '', address, address, CASE WHEN $7 THEN 0 ELSE 2 END FROM made
),
content AS (
    INSERT INTO contents (email_id, organization_id, html, text) SELECT id, $3, repeat('<p>Hello</p>', 85), '' FROM made WHERE $7
)
INSERT INTO sends (email_id, organization_id, due_at) SELECT id, $3, now() FROM made WHERE $7`,
			done+1, min(done+step, messages), tenant.ID, tenant.KeyID, tenant.DomainID, tenant.Domain, queued, messages)
		if err != nil {
			return fmt.Errorf("fill the tables: %w", err)
		}
	}
	return nil
}

// settle leaves the tables as they are once Postgres has had time for them.
func settle(ctx context.Context, database *store.Store) error {
	if _, err := database.Pool().Exec(ctx, "VACUUM ANALYZE"); err != nil {
		return fmt.Errorf("analyze the tables: %w", err)
	}
	// Without a checkpoint, the load would pay for the pages that filling left unwritten.
	if _, err := database.Pool().Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("write the tables: %w", err)
	}
	return nil
}
