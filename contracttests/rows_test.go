package contracttests

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/billing"
)

// rows counts what accepting messages writes for an organization.
type rows struct {
	emails, recipients, contents, sends, events int64
	// periods counts the rows of usage_periods, used is their sum.
	periods, used int64
}

// rows counts the tenant's rows.
func (t *tenant) rows() rows {
	t.t.Helper()
	var found rows
	must(t.t, t.store.Pool().QueryRow(t.t.Context(), `SELECT
		(SELECT count(*) FROM emails WHERE organization_id = $1),
		(SELECT count(*) FROM recipients WHERE organization_id = $1),
		(SELECT count(*) FROM contents WHERE organization_id = $1),
		(SELECT count(*) FROM sends WHERE organization_id = $1),
		(SELECT count(*) FROM events WHERE organization_id = $1),
		(SELECT count(*) FROM usage_periods WHERE organization_id = $1),
		(SELECT coalesce(sum(emails_sent), 0)::bigint FROM usage_periods WHERE organization_id = $1)`, t.id,
	).Scan(&found.emails, &found.recipients, &found.contents, &found.sends, &found.events, &found.periods, &found.used))
	return found
}

// sends makes a request and fails the test unless it stored exactly that many messages and recipients, completely.
func (t *tenant) sends(messages, recipients int64, path string, body any, headers ...string) answer {
	t.t.Helper()
	before := t.rows()
	came := t.call(http.MethodPost, path, body, headers...)
	after := t.rows()
	want := before
	want.emails += messages
	want.contents += messages
	want.sends += messages
	want.recipients += recipients
	want.used += recipients
	if messages > 0 {
		want.periods = 1
	}
	if after != want {
		t.t.Errorf("rows went from %+v to %+v, want %+v: %s", before, after, want, came.body)
	}
	return came
}

// refused makes a request and fails the test when it stored anything. It may run beside other refused requests.
func (t *tenant) refused(path string, body any, headers ...string) answer {
	t.t.Helper()
	return t.sends(0, 0, path, body, headers...)
}

// suppress puts bare addresses, in lower case, on the tenant's suppression list.
func (t *tenant) suppress(addresses ...string) {
	t.t.Helper()
	for _, address := range addresses {
		t.suppressFor(api.SuppressionReasonBounce, address, "", uuid.Must(uuid.NewV7()))
	}
}

// template stores a template with one version.
func (t *tenant) template(html, text string, published bool) uuid.UUID {
	t.t.Helper()
	id := uuid.Must(uuid.NewV7())
	t.execute(`INSERT INTO templates (id, organization_id, name, latest_version, published_version, created_at, updated_at)
		VALUES ($1, $2, $3, 1, CASE WHEN $4 THEN 1 END, now(), now())`, id, t.id, id.String(), published)
	t.execute(`INSERT INTO template_versions (template_id, version, organization_id, html, text, created_at)
		VALUES ($1, 1, $2, $3, $4, now())`, id, t.id, html, text)
	return id
}

// spend counts emails as sent in this period.
func (t *tenant) spend(emails int64) {
	t.t.Helper()
	period := billing.PeriodAt(t.clock.now()).Key
	must(t.t, t.store.Queries().UsageOpen(t.t.Context(), db.UsageOpenParams{
		OrganizationIds: []uuid.UUID{t.id}, PeriodKey: period,
	}))
	must(t.t, t.store.Queries().UsageAdd(t.t.Context(), db.UsageAddParams{
		OrganizationIds: []uuid.UUID{t.id}, PeriodKey: period, Emails: []int64{emails},
	}))
}

func (t *tenant) execute(statement string, arguments ...any) {
	t.t.Helper()
	_, err := t.store.Pool().Exec(t.t.Context(), statement, arguments...)
	must(t.t, err)
}
