package command_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/store/storetest"
)

type organization struct {
	ID                   uuid.UUID  `json:"id"`
	Name                 string     `json:"name"`
	SuspendedAt          *time.Time `json:"suspendedAt"`
	HasPaymentMethod     bool       `json:"hasPaymentMethod"`
	MonthlySpendCapCents *int64     `json:"monthlySpendCapCents"`
	FreeMonthlyAllowance int64      `json:"freeMonthlyAllowance"`
	PricePer1kCents      int64      `json:"pricePer1kCents"`
}

func TestOrganizations(t *testing.T) {
	t.Parallel()
	database := "--database-url=" + storetest.URL(t)
	var first, second organization
	succeed(t, &first, "org", "create", "Acme", "--json", database)
	succeed(t, &second, "org", "create", "Umbrella", "--json", database)
	if first.Name != "Acme" || first.HasPaymentMethod || first.MonthlySpendCapCents != nil ||
		first.FreeMonthlyAllowance != 3000 || first.PricePer1kCents != 40 || first.SuspendedAt != nil {
		t.Errorf("created %+v", first)
	}
	if _, stderr, code := execute(t, "org", "create", "Acme", database); code != 1 || !strings.Contains(stderr, "already") {
		t.Errorf("a name given twice: exit code %d: %s", code, stderr)
	}
	var listed []organization
	succeed(t, &listed, "org", "list", "--json", database)
	if len(listed) != 2 || listed[0] != first || listed[1] != second {
		t.Errorf("listed %+v", listed)
	}

	var suspended, again, resumed organization
	succeed(t, &suspended, "org", "suspend", "Acme", "--json", database)
	succeed(t, &again, "org", "suspend", first.ID.String(), "--json", database)
	if suspended.SuspendedAt == nil || again.SuspendedAt == nil || !suspended.SuspendedAt.Equal(*again.SuspendedAt) {
		t.Errorf("suspended %v, again %v", suspended.SuspendedAt, again.SuspendedAt)
	}
	succeed(t, &resumed, "org", "resume", "Acme", "--json", database)
	if resumed != first {
		t.Errorf("resumed %+v, want %+v", resumed, first)
	}
	for _, verb := range []string{"suspend", "resume"} {
		if _, stderr, code := execute(t, "org", verb, "Nobody", database); code != 1 || !strings.Contains(stderr, "Nobody") {
			t.Errorf("%s of an unknown one: exit code %d: %s", verb, code, stderr)
		}
	}
	if stdout, _, code := execute(t, "org", "list", database); code != 0 || !strings.Contains(stdout, "Umbrella") {
		t.Errorf("the table: exit code %d: %s", code, stdout)
	}
}

// What waits for a suspended organization is not claimed until it is resumed; another's mail is claimed all the while.
func TestResumingSendsWhatWaited(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	s := storetest.Open(t, url)
	var resumed, other organization
	succeed(t, &resumed, "org", "create", "Resumed", "--json", "--database-url="+url)
	succeed(t, &other, "org", "create", "Other", "--json", "--database-url="+url)
	now := time.Now()
	waiting, elsewhere := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	if err := s.Queries().SendInsert(t.Context(), db.SendInsertParams{
		EmailIds: []uuid.UUID{waiting, elsewhere}, OrganizationIds: []uuid.UUID{resumed.ID, other.ID}, DueAt: now.Add(-time.Minute),
	}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		command string
		want    uuid.UUID
	}{{"suspend", elsewhere}, {"resume", waiting}} {
		succeed(t, nil, "org", step.command, "Resumed", "--database-url="+url)
		claimed, err := s.Queries().SendClaim(t.Context(), db.SendClaimParams{
			Now: now, LeasedUntil: now.Add(time.Minute), PerLane: 10, MaxRows: 10, ExpiredBefore: now.Add(-72 * time.Hour),
			Large: 1, LargeRoom: 1, SmallRoom: 1,
			Lanes: []uuid.UUID{resumed.ID, other.ID}, Floors: []time.Time{now.Add(-time.Hour), now.Add(-time.Hour)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(claimed) != 1 || claimed[0].EmailID != step.want {
			t.Errorf("after %s %d rows are claimed: %+v", step.command, len(claimed), claimed)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	database := "--database-url=" + storetest.URL(t)
	succeed(t, nil, "org", "create", "Acme", database)
	succeed(t, nil, "org", "create", "Umbrella", database)

	stdout, _, code := execute(t, "key", "create", "--org=Acme", "--name=Plain", database)
	if _, err := apikey.Parse(strings.TrimSuffix(stdout, "\n")); code != 0 || err != nil {
		t.Fatalf("exit code %d, printed %q: %v", code, stdout, err)
	}
	var made api.CreatedAPIKey
	succeed(t, &made, "key", "create", "--org=Acme", "--name=Sender", "--scope=emails:send", "--scope=emails:read",
		"--scope=emails:send", "--expires-at=2099-01-31T12:00:00Z", "--json", database)
	if len(made.Key.Scopes) != 2 || !made.Key.IsActive || made.Key.ExpiresAt == nil || made.Key.ExpiresAt.Year() != 2099 {
		t.Errorf("created %+v", made.Key)
	}
	if _, stderr, code := execute(t, "key", "create", "--org=Acme", "--name=Sender", database); code != 1 || !strings.Contains(stderr, "already") {
		t.Errorf("a name given twice: exit code %d: %s", code, stderr)
	}
	succeed(t, nil, "key", "create", "--org=Umbrella", "--name=Sender", database)

	var listed []api.APIKey
	succeed(t, &listed, "key", "list", "--org=Acme", "--json", database)
	if len(listed) != 2 || listed[0].ID != made.Key.ID || len(listed[1].Scopes) != len(apikey.Scopes()) {
		t.Fatalf("listed %+v", listed)
	}
	table, _, _ := execute(t, "key", "list", "--org=Acme", database)
	secret, err := apikey.Parse(made.FullKey)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table, made.Key.MaskedKey) || strings.Contains(table, secret.Secret) {
		t.Errorf("the table: %s", table)
	}

	if _, _, code := execute(t, "key", "revoke", "--org=Umbrella", made.Key.ID.String(), database); code != 1 {
		t.Errorf("revoking another organization's key: exit code %d", code)
	}
	succeed(t, nil, "key", "revoke", "--org=Acme", made.Key.KeyPrefix, database)
	succeed(t, nil, "key", "revoke", "--org=Acme", made.Key.ID.String(), database)
	succeed(t, nil, "key", "create", "--org=Acme", "--name=Sender", database)
	succeed(t, nil, "key", "revoke", "--org=Acme", "Sender", database)
	succeed(t, &listed, "key", "list", "--org=Acme", "--json", database)
	active := 0
	for _, key := range listed {
		if key.IsActive {
			active++
		}
	}
	if len(listed) != 3 || active != 1 {
		t.Errorf("%d keys, %d active; want 3 and 1: %+v", len(listed), active, listed)
	}
}

func TestAHundredKeysAreTheMost(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	s := storetest.Open(t, url)
	var owner organization
	succeed(t, &owner, "org", "create", "Acme", "--json", "--database-url="+url)
	if _, err := s.Pool().Exec(t.Context(), `
		INSERT INTO api_keys (id, organization_id, name, prefix, secret_hash, scopes, created_at)
		SELECT gen_random_uuid(), $1, n::text, lpad(n::text, 8, '0'), '', '{}', now() FROM generate_series(1, 100) AS n`,
		owner.ID); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := execute(t, "key", "create", "--org=Acme", "--name=more", "--database-url="+url); code != 1 || !strings.Contains(stderr, "100") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	succeed(t, nil, "key", "revoke", "--org=Acme", "7", "--database-url="+url)
	succeed(t, nil, "key", "create", "--org=Acme", "--name=more", "--database-url="+url)
}

func TestBilling(t *testing.T) {
	t.Parallel()
	database := "--database-url=" + storetest.URL(t)
	var want, got organization
	succeed(t, &want, "org", "create", "Acme", "--json", database)
	steps := []struct {
		flags  []string
		change func()
	}{
		{[]string{"--payment-method"}, func() { want.HasPaymentMethod = true }},
		{[]string{"--cap-cents=500"}, func() { limit := int64(500); want.MonthlySpendCapCents = &limit }},
		{[]string{"--allowance=0", "--price-per-1k-cents=7"}, func() { want.FreeMonthlyAllowance, want.PricePer1kCents = 0, 7 }},
		{[]string{"--no-cap"}, func() { want.MonthlySpendCapCents = nil }},
		{[]string{"--payment-method=false", "--cap-cents=0"}, func() {
			limit := int64(0)
			want.HasPaymentMethod, want.MonthlySpendCapCents = false, &limit
		}},
	}
	for _, step := range steps {
		step.change()
		got = organization{}
		succeed(t, &got, append([]string{"billing", "set", "--org=Acme", "--json", database}, step.flags...)...)
		limits := want.MonthlySpendCapCents == nil && got.MonthlySpendCapCents == nil ||
			want.MonthlySpendCapCents != nil && got.MonthlySpendCapCents != nil && *want.MonthlySpendCapCents == *got.MonthlySpendCapCents
		compared := want
		compared.MonthlySpendCapCents = got.MonthlySpendCapCents
		if got != compared || !limits {
			t.Errorf("%v: %+v, want %+v", step.flags, got, want)
		}
	}
}
