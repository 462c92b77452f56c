package contracttests

import (
	"testing"

	"github.com/voostack/mailstack/gen/db"
)

// in returns the stack for a subtest, which fails in its place.
func (s *stack) in(t testing.TB) *stack {
	inner := *s
	inner.t = t
	return &inner
}

// in returns the tenant for a subtest.
func (t *tenant) in(inner testing.TB) *tenant {
	same := *t
	same.stack = t.stack.in(inner)
	return &same
}

// suspend suspends the organization, as the command line does.
func (t *tenant) suspend() {
	t.t.Helper()
	rows, err := t.store.Queries().OrganizationSuspend(t.t.Context(), db.OrganizationSuspendParams{ID: t.id, Now: t.clock.now()})
	must(t.t, err)
	if rows != 1 {
		t.t.Fatal("no organization was suspended")
	}
}

// pauseSending pauses the organization, as too many bounces do.
func (t *tenant) pauseSending() {
	t.t.Helper()
	must(t.t, t.store.Queries().OrganizationPauseSending(t.t.Context(), db.OrganizationPauseSendingParams{ID: t.id, Now: t.clock.now()}))
}

// setLimits sets the organization's limits of emails, as the command line does.
func (t *tenant) setLimits(daily, perSecond int64) {
	t.t.Helper()
	_, err := t.store.Queries().OrganizationSetLimits(t.t.Context(), db.OrganizationSetLimitsParams{
		ID: t.id, DailyLimit: &daily, PerSecondLimit: &perSecond,
	})
	must(t.t, err)
}

// setBilling sets the billing fields of an organization that the command line sets.
func (t *tenant) setBilling(paymentMethod bool, capCents *int64, allowance, pricePer1kCents int64) {
	t.t.Helper()
	rows, err := t.store.Queries().OrganizationBillingUpdate(t.t.Context(), db.OrganizationBillingUpdateParams{
		ID: t.id, HasPaymentMethod: paymentMethod, MonthlySpendCapCents: capCents,
		FreeMonthlyAllowance: allowance, PricePer1kCents: pricePer1kCents,
	})
	must(t.t, err)
	if rows != 1 {
		t.t.Fatal("no organization was changed")
	}
}
