package contracttests

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
)

// hasSent adds emails to the current period without sending them.
func (t *tenant) hasSent(emails int64) {
	t.t.Helper()
	tag, err := t.store.Pool().Exec(t.t.Context(),
		"UPDATE usage_periods SET emails_sent = $2 WHERE organization_id = $1 AND period_key = $3",
		t.id, emails, t.clock.now().Format("2006-01"))
	must(t.t, err)
	if tag.RowsAffected() != 1 {
		t.t.Fatal("the period has no row yet")
	}
}

// nextMonth moves the clock to the first instants of the next month in UTC.
func (c *clock) nextMonth() {
	now := c.now()
	c.advance(time.Date(now.Year(), now.Month()+1, 1, 0, 0, 1, 0, time.UTC).Sub(now))
}

func TestUsage(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	limit := int64(5000)
	zero := int64(0)
	for name, c := range map[string]struct {
		sent, allowance, price int64
		paymentMethod          bool
		limit                  *int64
		free, billable         int64
	}{
		"the reference":        {4200, 3000, 40, true, &limit, 0, 1200},
		"untouched":            {0, 3000, 40, false, nil, 3000, 0},
		"within the allowance": {2999, 3000, 40, false, nil, 1, 0},
		"at the allowance":     {3000, 3000, 40, false, nil, 0, 0},
		"one beyond":           {3001, 3000, 40, true, nil, 0, 1},
		"no allowance":         {7, 0, 40, true, &limit, 0, 7},
		"for free":             {10, 5, 0, true, &zero, 0, 5},
		"many":                 {5_000_000_000, 3000, 90, true, nil, 0, 4_999_997_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			owner := s.in(t).newTenant()
			owner.setBilling(c.paymentMethod, c.limit, c.allowance, c.price)
			if c.sent > 0 {
				_, err := owner.store.Pool().Exec(t.Context(), `INSERT INTO usage_periods
					(organization_id, period_key, emails_sent, free_monthly_allowance, price_per_1k_cents) VALUES ($1, $2, $3, $4, $5)`,
					owner.id, s.clock.now().Format("2006-01"), c.sent, c.allowance, c.price)
				must(t, err)
			}
			now := s.clock.now()
			start := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
			want := api.Usage{
				PeriodKey: now.Format("2006-01"), PeriodStart: api.Time{Time: start}, PeriodEnd: api.Time{Time: start.AddDate(0, 1, 0)}, EmailsSent: c.sent,
				FreeMonthlyAllowance: c.allowance, FreeRemaining: c.free, BillableEmails: c.billable, PricePer1KCents: c.price,
				HasPaymentMethod: c.paymentMethod, MonthlySpendCapCents: c.limit,
			}
			answer := owner.call(http.MethodGet, "/v1/billing/usage", nil).is(http.StatusOK)
			if got := decoded[api.Usage](answer); !reflect.DeepEqual(got, want) {
				t.Errorf("usage is %+v, want %+v", got, want)
			}
			if !strings.Contains(string(answer.body), start.Format(`"periodStart":"2006-01-02T00:00:00.000Z"`)) {
				t.Errorf("the period is not in UTC: %s", answer.body)
			}
		})
	}
}

// Reading usage opens no period: a price that is set before the first message applies to it.
func TestReadingUsageOpensNoPeriod(t *testing.T) {
	t.Parallel()
	owner := newStack(t).newTenant()
	owner.usage()
	owner.setBilling(true, nil, 10, 77)
	if usage := owner.usage(); usage.PricePer1KCents != 77 || usage.FreeMonthlyAllowance != 10 {
		t.Errorf("usage is %+v", usage)
	}
}

func TestBillingChanges(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	sender, from := s.newSender()
	sender.setBilling(false, nil, 2, 40)
	sender.send(email(from, "to", "a@example.com, b@example.com"))
	sender.call(http.MethodPost, "/v1/emails", email(from)).problem(http.StatusPaymentRequired, api.ProblemCodeFreeTierExhausted)

	// Price and allowance apply to a whole period.
	sender.setBilling(false, nil, 1000, 1000)
	if usage := sender.usage(); usage.FreeMonthlyAllowance != 2 || usage.PricePer1KCents != 40 || usage.FreeRemaining != 0 {
		t.Errorf("within the period: %+v", usage)
	}
	sender.call(http.MethodPost, "/v1/emails", email(from)).problem(http.StatusPaymentRequired, api.ProblemCodeFreeTierExhausted)

	// A payment method and a cap apply at once: 40 cents per 1,000 make 25 emails a cent.
	limit := int64(1)
	sender.setBilling(true, &limit, 1000, 1000)
	if usage := sender.usage(); !usage.HasPaymentMethod || usage.MonthlySpendCapCents == nil || *usage.MonthlySpendCapCents != 1 {
		t.Errorf("with a payment method: %+v", usage)
	}
	sender.send(email(from))
	sender.hasSent(2 + 24)
	sender.call(http.MethodPost, "/v1/emails", email(from, "to", "a@example.com, b@example.com")).
		problem(http.StatusPaymentRequired, api.ProblemCodeSpendCapReached)
	sender.send(email(from))
	sender.call(http.MethodPost, "/v1/emails", email(from)).problem(http.StatusPaymentRequired, api.ProblemCodeSpendCapReached)
	if usage := sender.usage(); usage.EmailsSent != 27 || usage.BillableEmails != 25 {
		t.Errorf("at the cap: %+v", usage)
	}
	sender.setBilling(true, nil, 1000, 1000)
	sender.send(email(from))
	sender.setBilling(false, nil, 1000, 1000)
	sender.call(http.MethodPost, "/v1/emails", email(from)).problem(http.StatusPaymentRequired, api.ProblemCodeFreeTierExhausted)
}

func TestPeriodsAreCalendarMonths(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	sender, from := s.newSender()
	sender.setBilling(false, nil, 1, 40)
	sender.send(email(from))
	sender.call(http.MethodPost, "/v1/emails", email(from)).problem(http.StatusPaymentRequired, api.ProblemCodeFreeTierExhausted)
	sender.setBilling(false, nil, 2, 50)
	before := sender.usage()
	s.clock.nextMonth()
	// The next period begins where the last one ends, with the terms set meanwhile.
	after := sender.usage()
	if after.PeriodKey == before.PeriodKey || !after.PeriodStart.Equal(before.PeriodEnd.Time) || after.EmailsSent != 0 ||
		after.FreeMonthlyAllowance != 2 || after.FreeRemaining != 2 || after.PricePer1KCents != 50 {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	sender.send(email(from))
	sender.send(email(from))
	sender.call(http.MethodPost, "/v1/emails", email(from)).problem(http.StatusPaymentRequired, api.ProblemCodeFreeTierExhausted)
	// The last instant of a period belongs to it.
	end := sender.usage().PeriodEnd
	s.clock.advance(end.Sub(s.clock.now()) - 10*time.Second)
	if last := sender.usage(); last.PeriodKey != after.PeriodKey || last.EmailsSent != 2 {
		t.Errorf("at the end of the period: %+v", last)
	}
}
