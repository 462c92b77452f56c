package contracttests

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
)

// TestListsReadAPageOfRows: how many rows a page takes does not depend on how many messages there are, also before Postgres has
// statistics of them, as on the first of a month.
func TestListsReadAPageOfRows(t *testing.T) {
	t.Parallel()
	const messages, most = 20_000, 500
	s := newStack(t)
	tenant, from := s.newSender()
	id := tenant.send(email(from, "tags", "a"))
	tenant.execute(`DO $$ DECLARE leaf regclass; BEGIN
		FOR leaf IN SELECT relid FROM unnest(ARRAY['emails', 'recipients', 'email_tags']::regclass[]) AS root, pg_partition_tree(root) WHERE isleaf LOOP
			EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', leaf);
		END LOOP; END $$`)
	const copied = `(substring($1::uuid::text, 1, 24) || lpad(to_hex(n), 12, '0'))::uuid`
	tenant.execute(`INSERT INTO emails (id, organization_id, api_key_id, domain_id, from_email, from_name, to_email, cc, bcc, reply_to, subject,
			tags, outcome, queued_at, created_at)
		SELECT `+copied+`, organization_id, api_key_id, domain_id, from_email, from_name, to_email, cc, bcc, reply_to, subject, tags, outcome,
			queued_at, created_at
		FROM emails, generate_series(1, $2::integer) AS n WHERE id = $1`, id, messages)
	tenant.execute(`INSERT INTO recipients (email_id, position, organization_id, kind, name, address, address_key)
		SELECT `+copied+`, position, organization_id, kind, name, address, address_key
		FROM recipients, generate_series(1, $2::integer) AS n WHERE email_id = $1`, id, messages)
	tenant.execute(`INSERT INTO email_tags (organization_id, tag, email_id) SELECT $3, 'a', `+copied+` FROM generate_series(1, $2::integer) AS n`,
		id, messages, tenant.id)
	to := tenant.read(id).ToEmail
	for name, list := range map[string]func(tx *db.Queries) ([]db.Email, error){
		"all": func(tx *db.Queries) ([]db.Email, error) {
			return tx.EmailList(t.Context(), db.EmailListParams{OrganizationID: tenant.id, BeforeID: uuid.Max, MaxRows: 101})
		},
		"from": func(tx *db.Queries) ([]db.Email, error) {
			return tx.EmailListByFrom(t.Context(), db.EmailListByFromParams{
				OrganizationID: tenant.id, AddressKey: from, BeforeID: uuid.Max, MaxRows: 101,
			})
		},
		"to": func(tx *db.Queries) ([]db.Email, error) {
			return tx.EmailListByTo(t.Context(), db.EmailListByToParams{OrganizationID: tenant.id, AddressKey: to, BeforeID: uuid.Max, MaxRows: 101})
		},
		"tag": func(tx *db.Queries) ([]db.Email, error) {
			return tx.EmailListByTag(t.Context(), db.EmailListByTagParams{OrganizationID: tenant.id, Tag: "a", BeforeID: uuid.Max, MaxRows: 101})
		},
		"status": func(tx *db.Queries) ([]db.Email, error) {
			return tx.EmailListByStatus(t.Context(), db.EmailListByStatusParams{
				OrganizationID: tenant.id, Outcome: int16(mail.OutcomeQueued), BeforeID: uuid.Max, MaxRows: 101,
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := tenant.store.Pool().Begin(t.Context())
			must(t, err)
			defer func() { must(t, tx.Rollback(t.Context())) }()
			rowsRead := func() (read int) {
				must(t, tx.QueryRow(t.Context(), `SELECT sum(coalesce(idx_tup_fetch, 0) + seq_tup_read) FROM pg_stat_xact_user_tables
					WHERE relname ~ '^(emails|recipients|email_tags)'`).Scan(&read))
				return read
			}
			before := rowsRead()
			found, err := list(db.New(tx))
			must(t, err)
			if read := rowsRead() - before; len(found) != 101 || read > most {
				t.Errorf("a page of %d messages read %d rows, want at most %d", len(found), read, most)
			}
		})
	}
	tenant.call(http.MethodGet, "/v1/emails?limit=100&from="+from, nil).is(http.StatusOK)
}
