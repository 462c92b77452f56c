package billing

import (
	"math"
	"math/bits"
)

const (
	// DefaultFreeAllowance is how many emails of a period cost nothing.
	DefaultFreeAllowance = 3000
	// DefaultPricePer1kCents is the price of 1,000 emails beyond the allowance, in
	// cents.
	DefaultPricePer1kCents = 40
	// Unlimited is the [Usage.Remaining] of an organization that nothing limits.
	Unlimited int64 = math.MaxInt64

	emailsPerPrice = 1000
)

// Usage holds what decides how many emails an organization may send in one
// period. Numbers below zero count as zero.
type Usage struct {
	// Sent is how many emails were accepted in the period.
	Sent int64
	// FreeAllowance is how many emails of the period cost nothing.
	FreeAllowance int64
	// PricePer1kCents is the price of 1,000 billable emails, in cents.
	PricePer1kCents int64
	// HasPaymentMethod reports whether emails beyond the allowance can be billed.
	HasPaymentMethod bool
	// MonthlySpendCapCents limits what is billed in the period. Nil means no limit.
	MonthlySpendCapCents *int64
}

// FreeRemaining returns how many more emails cost nothing.
func (a Usage) FreeRemaining() int64 {
	return max(0, max(0, a.FreeAllowance)-max(0, a.Sent))
}

// Billable returns how many of the sent emails are beyond the allowance.
func (a Usage) Billable() int64 {
	return max(0, max(0, a.Sent)-max(0, a.FreeAllowance))
}

// Remaining returns how many more emails may be accepted now, or [Unlimited] if
// every number fits. Emails fit as long as the allowance covers them, or there is
// a payment method and billable × price ≤ cap × 1000 still holds after them. The
// result is exact: one more email breaks that rule.
func (a Usage) Remaining() int64 {
	free := a.FreeRemaining()
	if !a.HasPaymentMethod {
		return free
	}
	payable, billable := a.payable(), uint64(a.Billable())
	if payable <= billable {
		return free
	}
	if payable-billable > uint64(Unlimited-free) {
		return Unlimited
	}
	return free + int64(payable-billable)
}

// payable returns how many billable emails the cap pays for in the whole period.
// The largest number stands for no limit too, because no count exceeds it.
func (a Usage) payable() uint64 {
	if a.MonthlySpendCapCents == nil || a.PricePer1kCents <= 0 {
		return math.MaxUint64
	}
	price := uint64(a.PricePer1kCents)
	high, low := bits.Mul64(uint64(max(0, *a.MonthlySpendCapCents)), emailsPerPrice)
	if high >= price { // the quotient does not fit 64 bits
		return math.MaxUint64
	}
	emails, _ := bits.Div64(high, low, price)
	return emails
}

// Accepts reports whether n more emails may be accepted now. A negative number
// never is.
func (a Usage) Accepts(n int64) bool { return n >= 0 && n <= a.Remaining() }

// Reason is why emails were not accepted. Its text is the problem code of the
// API.
type Reason string

const (
	// FreeTierExhausted means that the allowance is used up and there is no payment
	// method.
	FreeTierExhausted Reason = "free-tier-exhausted"
	// SpendCapReached means that more emails would cost more than the cap.
	SpendCapReached Reason = "spend-cap-reached"
)

// LimitReached returns the reason that applies if more emails than
// [Usage.Remaining] are refused.
func (a Usage) LimitReached() Reason {
	if a.HasPaymentMethod {
		return SpendCapReached
	}
	return FreeTierExhausted
}
