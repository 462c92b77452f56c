package contracttests

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/store/storetest"
)

func (t *tenant) unpaid(code api.ProblemCode, path string, body any) {
	t.t.Helper()
	t.refused(path, body).problem(http.StatusPaymentRequired, code)
}

func TestFreeAllowance(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	tenant.setBilling(false, nil, 4, 40)
	two := email(from, "cc", "copy@example.com")
	tenant.sends(1, 3, singlePath, email(from, "cc", "copy@example.com", "bcc", "b@example.com")).is(http.StatusAccepted)
	tenant.unpaid(api.ProblemCodeFreeTierExhausted, singlePath, two)
	tenant.sends(1, 1, singlePath, email(from)).is(http.StatusAccepted)
	tenant.unpaid(api.ProblemCodeFreeTierExhausted, singlePath, email(from))
	// Meaning is checked first: a message that could never be sent is refused before its payment.
	tenant.refused(singlePath, email("a@elsewhere.test")).problem(http.StatusBadRequest, api.ProblemCodeDomainNotVerified)
	if usage := tenant.usage(); usage.EmailsSent != 4 || usage.FreeRemaining != 0 || usage.BillableEmails != 0 {
		t.Errorf("usage is %+v", usage)
	}
	// A payment method applies at once; price and allowance stay as they were when the period began.
	tenant.setBilling(true, nil, 1000, 1)
	tenant.sends(1, 2, singlePath, two).is(http.StatusAccepted)
	usage := tenant.usage()
	if usage.EmailsSent != 6 || usage.BillableEmails != 2 || usage.FreeMonthlyAllowance != 4 || usage.PricePer1KCents != 40 {
		t.Errorf("usage is %+v", usage)
	}
	tenant.setBilling(false, nil, 1000, 1)
	tenant.unpaid(api.ProblemCodeFreeTierExhausted, singlePath, email(from))
	// The next month begins anew, with the terms set by then.
	tenant.clock.advance(32 * 24 * time.Hour)
	tenant.call(http.MethodPost, singlePath, email(from)).is(http.StatusAccepted)
	if usage := tenant.usage(); usage.EmailsSent != 1 || usage.FreeMonthlyAllowance != 1000 || usage.PricePer1KCents != 1 {
		t.Errorf("usage of the next month is %+v", usage)
	}
}

// TestRefusalOpensNoPeriod: a refused send opens no period, so its terms can still change.
func TestRefusalOpensNoPeriod(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	tenant.setBilling(false, nil, 0, 40)
	tenant.unpaid(api.ProblemCodeFreeTierExhausted, singlePath, email(from))
	tenant.unpaid(api.ProblemCodeFreeTierExhausted, batchPath, batchOf(email(from), email(from)))
	tenant.setBilling(false, nil, 1, 40)
	tenant.sends(1, 1, singlePath, email(from)).is(http.StatusAccepted)
	tenant.unpaid(api.ProblemCodeFreeTierExhausted, singlePath, email(from))
}

func TestSpendCap(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	// Two cents pay for 50 emails at 40 cents per 1,000, and ten are free.
	two := int64(2)
	tenant.setBilling(true, &two, 10, 40)
	tenant.spend(58)
	tenant.unpaid(api.ProblemCodeSpendCapReached, singlePath, email(from, "to", addresses(3)))
	tenant.sends(1, 2, singlePath, email(from, "to", addresses(2))).is(http.StatusAccepted)
	tenant.unpaid(api.ProblemCodeSpendCapReached, singlePath, email(from))
	if usage := tenant.usage(); usage.EmailsSent != 60 || usage.BillableEmails != 50 || *usage.MonthlySpendCapCents != 2 {
		t.Errorf("usage is %+v", usage)
	}
	// 25 more emails cost one cent more.
	three := int64(3)
	tenant.setBilling(true, &three, 10, 40)
	found := judged(tenant.sends(25, 25, batchPath, batchOf(repeated(email(from), 30)...)), 30)
	for _, result := range found.Results[25:] {
		if result.Code == nil || *result.Code != api.ProblemCodeSpendCapReached {
			t.Errorf("result is %+v", result)
		}
	}
	zero := int64(0)
	tenant.setBilling(true, &zero, 10, 40)
	tenant.unpaid(api.ProblemCodeSpendCapReached, singlePath, email(from))
	tenant.setBilling(true, nil, 10, 40)
	tenant.sends(1, 50, singlePath, email(from, "to", addresses(50))).is(http.StatusAccepted)

	// A cap of zero leaves the free emails.
	other, from := tenant.newSender()
	other.setBilling(true, &zero, 1, 40)
	other.sends(1, 1, singlePath, email(from)).is(http.StatusAccepted)
	other.unpaid(api.ProblemCodeSpendCapReached, singlePath, email(from))
}

func repeated(item any, times int) []any {
	items := make([]any, times)
	for i := range items {
		items[i] = item
	}
	return items
}

// TestBatchAllowance: room is the free allowance. Results are queued (q), rejected because the allowance is used up
// (x), or rejected for another reason (r). A 402 refuses the whole batch.
func TestBatchAllowance(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	const one, three, wrong, foreign, suppressed = "one", "three", "wrong", "foreign", "suppressed"
	for name, batch := range map[string]struct {
		room    int64
		items   []string
		results string
	}{
		"all fit":                         {5, []string{one, three, one}, "qqq"},
		"the rest does not":               {2, []string{one, one, one, one}, "qqxx"},
		"the first that does not, closes": {2, []string{one, three, one}, "qxx"},
		"others are not closed":           {2, []string{wrong, one, foreign, three, suppressed, one}, "rqrxrx"},
		"none fits":                       {0, []string{one, one}, "402"},
		"none fits beside others":         {0, []string{wrong, one, suppressed}, "402"},
		"the first closes all":            {2, []string{three, one}, "402"},
		"none acceptable":                 {0, []string{wrong, foreign, suppressed}, "rrr"},
		"refused ones take no room":       {1, []string{suppressed, foreign, wrong, one}, "rrrq"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, from := s.in(t).newSender()
			tenant.setBilling(false, nil, batch.room, 40)
			tenant.suppress("gone@example.com")
			known := map[string]any{
				one: email(from), three: email(from, "to", addresses(3)), wrong: email(from, "to", "x"),
				foreign: email("a@elsewhere.test"), suppressed: email(from, "to", "gone@example.com"),
			}
			var items []any
			var messages, recipients int64
			for i, kind := range batch.items {
				items = append(items, known[kind])
				if batch.results[min(i, len(batch.results)-1)] == 'q' {
					messages++
					recipients += map[string]int64{one: 1, three: 3}[kind]
				}
			}
			if batch.results == "402" {
				tenant.unpaid(api.ProblemCodeFreeTierExhausted, batchPath, batchOf(items...))
				return
			}
			found := judged(tenant.sends(messages, recipients, batchPath, batchOf(items...)), len(items))
			results := ""
			for _, result := range found.Results {
				switch {
				case result.Status == api.SendStatusQueued:
					results += "q"
				case *result.Code == api.ProblemCodeFreeTierExhausted:
					results += "x"
				default:
					results += "r"
				}
			}
			if results != batch.results || tenant.usage().EmailsSent != recipients {
				t.Errorf("results are %s, want %s; usage %+v", results, batch.results, tenant.usage())
			}
		})
	}
}

// TestNeverOneTooMany sends from many clients at once, through two servers, more than the allowance has room for.
func TestNeverOneTooMany(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	first := newStack(t, options{store: storetest.Open(t, url)})
	second := newStack(t, options{store: storetest.Open(t, url)})
	two := int64(2)
	for name, race := range map[string]struct {
		requests, items int
		room            int64
		limit           func(*tenant)
		code            api.ProblemCode
	}{
		"singles and an allowance": {
			200, 0, 50, func(tenant *tenant) { tenant.setBilling(false, nil, 50, 40) }, api.ProblemCodeFreeTierExhausted,
		},
		"singles and a cap": {
			200, 0, 50, func(tenant *tenant) { tenant.setBilling(true, &two, 0, 40) }, api.ProblemCodeSpendCapReached,
		},
		"batches and an allowance": {
			40, 10, 55, func(tenant *tenant) { tenant.setBilling(false, nil, 55, 40) }, api.ProblemCodeFreeTierExhausted,
		},
		"batches and a cap": {
			40, 10, 55, func(tenant *tenant) { tenant.setBilling(true, &two, 5, 40) }, api.ProblemCodeSpendCapReached,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tenant, from := first.in(t).newSender()
			race.limit(tenant)
			elsewhere := *tenant
			elsewhere.stack = second.in(t)

			answers := make([]answer, race.requests)
			start := make(chan struct{})
			var running sync.WaitGroup
			for i := range answers {
				running.Go(func() {
					<-start
					instance := []*stack{tenant.stack, elsewhere.stack}[i%2]
					if race.items == 0 {
						answers[i] = instance.exchange(http.MethodPost, singlePath, tenant.key, email(from))
					} else {
						answers[i] = instance.exchange(http.MethodPost, batchPath, tenant.key, batchOf(repeated(email(from), race.items)...))
					}
				})
			}
			close(start)
			running.Wait()

			accepted := int64(0)
			for _, came := range answers {
				switch {
				case came.status == http.StatusPaymentRequired:
					came.problem(http.StatusPaymentRequired, race.code)
				case race.items == 0:
					came.is(http.StatusAccepted)
					accepted++
				default:
					accepted += int64(judged(came, race.items).Accepted)
				}
			}
			if found := tenant.rows(); accepted != race.room || found != (rows{race.room, race.room, race.room, race.room, 0, 1, race.room}) {
				t.Errorf("accepted %d, want %d; rows %+v", accepted, race.room, found)
			}
			for _, instance := range []interface{ usage() api.Usage }{tenant, &elsewhere} {
				if usage := instance.usage(); usage.EmailsSent != race.room {
					t.Errorf("usage says %d, want %d", usage.EmailsSent, race.room)
				}
			}
		})
	}
}
