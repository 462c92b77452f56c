package billing_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/billing"
)

func cents(n int64) *int64 { return &n }

func TestPeriodAt(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 5*3600)
	for _, c := range []struct {
		at  time.Time
		key string
	}{
		{time.Date(2026, 6, 18, 10, 0, 0, 0, time.UTC), "2026-06"},
		{time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), "2026-06"},
		{time.Date(2026, 6, 1, 0, 0, 0, -1, time.UTC), "2026-05"},
		{time.Date(2026, 6, 1, 4, 59, 0, 0, east), "2026-05"},
		{time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC), "2026-12"},
		{time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC), "2028-02"},
	} {
		if got := billing.PeriodAt(c.at).Key; got != c.key {
			t.Errorf("%v: %q", c.at, got)
		}
	}
}

func TestPeriodsMeetWithoutGap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 7e9).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds"))
		p := billing.PeriodAt(at)
		if at.Before(p.Start) || !at.Before(p.End) || p.Start.Location() != time.UTC {
			t.Fatalf("%v is not in %+v", at, p)
		}
		if billing.PeriodAt(p.Start) != p || billing.PeriodAt(p.End.Add(-1)) != p {
			t.Fatalf("the ends of %+v are not in it", p)
		}
		if next := billing.PeriodAt(p.End); next.Start != p.End || next.Key == p.Key {
			t.Fatalf("%+v follows %+v", next, p)
		}
	})
}

func TestAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account              billing.Usage
		free, billable, room int64
	}{
		"new":              {billing.Usage{FreeAllowance: 3000, PricePer1kCents: 40}, 3000, 0, 3000},
		"used up":          {billing.Usage{Sent: 3000, FreeAllowance: 3000, PricePer1kCents: 40}, 0, 0, 0},
		"allowance lower":  {billing.Usage{Sent: 10, FreeAllowance: 3}, 0, 7, 0},
		"card, no cap":     {billing.Usage{Sent: 5000, FreeAllowance: 3000, PricePer1kCents: 40, HasPaymentMethod: true}, 0, 2000, billing.Unlimited},
		"card, cap 1 $":    {billing.Usage{FreeAllowance: 3000, PricePer1kCents: 40, HasPaymentMethod: true, MonthlySpendCapCents: cents(100)}, 3000, 0, 5500},
		"cap not dividing": {billing.Usage{PricePer1kCents: 7, HasPaymentMethod: true, MonthlySpendCapCents: cents(1)}, 0, 0, 142},
		"cap 0":            {billing.Usage{Sent: 1, FreeAllowance: 3, PricePer1kCents: 40, HasPaymentMethod: true, MonthlySpendCapCents: cents(0)}, 2, 0, 2},
		"cap lowered":      {billing.Usage{Sent: 9000, FreeAllowance: 3000, PricePer1kCents: 40, HasPaymentMethod: true, MonthlySpendCapCents: cents(10)}, 0, 6000, 0},
		"price 0, cap 0":   {billing.Usage{Sent: 9, PricePer1kCents: 0, HasPaymentMethod: true, MonthlySpendCapCents: cents(0)}, 0, 9, billing.Unlimited},
		"cap without card": {billing.Usage{FreeAllowance: 3, PricePer1kCents: 40, MonthlySpendCapCents: cents(100)}, 3, 0, 3},
		"huge":             {billing.Usage{Sent: math.MaxInt64, FreeAllowance: math.MaxInt64, PricePer1kCents: 1, HasPaymentMethod: true, MonthlySpendCapCents: cents(math.MaxInt64)}, 0, 0, billing.Unlimited},
	} {
		a := c.account
		if a.FreeRemaining() != c.free || a.Billable() != c.billable || a.Remaining() != c.room {
			t.Errorf("%s: free %d, billable %d, room %d", name, a.FreeRemaining(), a.Billable(), a.Remaining())
		}
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	if got := (billing.Usage{}).LimitReached(); got != "free-tier-exhausted" {
		t.Errorf("without a payment method: %q", got)
	}
	if got := (billing.Usage{HasPaymentMethod: true}).LimitReached(); got != "spend-cap-reached" {
		t.Errorf("with a payment method: %q", got)
	}
}

// accounts draws what can be stored, and what should never be.
func accounts() *rapid.Generator[billing.Usage] {
	count := rapid.OneOf(
		rapid.Int64Range(0, 10000), rapid.Int64Range(math.MaxInt64-10000, math.MaxInt64), rapid.Int64Range(-10, 10), rapid.Int64(),
	)
	return rapid.Custom(func(t *rapid.T) billing.Usage {
		a := billing.Usage{
			Sent:             count.Draw(t, "sent"),
			FreeAllowance:    count.Draw(t, "allowance"),
			PricePer1kCents:  count.Draw(t, "price"),
			HasPaymentMethod: rapid.Bool().Draw(t, "payment method"),
		}
		if rapid.Bool().Draw(t, "capped") {
			a.MonthlySpendCapCents = cents(count.Draw(t, "cap"))
		}
		return a
	})
}

// allowed is the rule of the contract, in numbers that cannot overflow.
func allowed(a billing.Usage, n int64) bool {
	natural := func(v int64) *big.Int { return big.NewInt(max(0, v)) }
	after := new(big.Int).Add(natural(a.Sent), big.NewInt(n))
	billable := new(big.Int).Sub(after, natural(a.FreeAllowance))
	if n == 0 || billable.Sign() <= 0 {
		return true
	}
	if !a.HasPaymentMethod {
		return false
	}
	if a.MonthlySpendCapCents == nil {
		return true
	}
	cost := billable.Mul(billable, natural(a.PricePer1kCents))
	limit := new(big.Int).Mul(natural(*a.MonthlySpendCapCents), big.NewInt(1000))
	return cost.Cmp(limit) <= 0
}

func TestRoomIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := accounts().Draw(t, "account")
		room := a.Remaining()
		if room < 0 || a.FreeRemaining() < 0 || a.Billable() < 0 {
			t.Fatalf("room %d, free %d, billable %d", room, a.FreeRemaining(), a.Billable())
		}
		if !a.Accepts(room) || !allowed(a, room) {
			t.Fatalf("%d fit, but are not accepted", room)
		}
		if room < math.MaxInt64 && (a.Accepts(room+1) || allowed(a, room+1)) {
			t.Fatalf("one more than %d is accepted", room)
		}
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "n")
		if a.Accepts(n) != allowed(a, n) {
			t.Fatalf("Accepts(%d) is %v", n, a.Accepts(n))
		}
		if a.Accepts(-1) {
			t.Fatal("a negative number is accepted")
		}
	})
}

// TestStepsNeverPassTheRoom checks that accepting in steps comes to the same as
// accepting at once.
func TestStepsNeverPassTheRoom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := billing.Usage{
			FreeAllowance:    rapid.Int64Range(0, 50).Draw(t, "allowance"),
			PricePer1kCents:  rapid.Int64Range(1, 3000).Draw(t, "price"),
			HasPaymentMethod: rapid.Bool().Draw(t, "payment method"),
		}
		a.MonthlySpendCapCents = cents(rapid.Int64Range(0, 50).Draw(t, "cap"))
		room := a.Remaining()
		for range 200 {
			if n := rapid.Int64Range(1, 100).Draw(t, "n"); a.Accepts(n) {
				a.Sent += n
			}
			if a.Sent > room || a.Sent+a.Remaining() != room {
				t.Fatalf("%d sent, %d more, of %d", a.Sent, a.Remaining(), room)
			}
		}
	})
}
