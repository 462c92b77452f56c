package main

import (
	"context"
	"fmt"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
)

const (
	// A thousand billable emails cost 40 cents, so a cent buys 25.
	emailsPerCent = 25
	plenty        = 100_000_000
)

// organization is a sender.
type organization struct {
	harness.Tenant
	// limit is the maximum number of emails that it may send; zero means it never reaches a limit.
	limit int64
	// weight is its share of the requests.
	weight int
}

// organizations makes four without a limit, one without a payment method, which ends at its allowance, and one with
// a spend cap. The last two reach their limit in the first half of a run.
func (s *stage) organizations(ctx context.Context, duration time.Duration) ([]organization, error) {
	allowance := max(25, int64(4*duration.Seconds()))
	cents := max(1, allowance/2/emailsPerCent)
	planned := []organization{
		{weight: 8},
		{weight: 4},
		{weight: 2},
		{weight: 2},
		{limit: allowance, weight: 1},
		{limit: allowance/2 + cents*emailsPerCent, weight: 1},
	}
	for i := range planned {
		one := &planned[i]
		free := int64(plenty)
		switch i {
		case 4:
			free = allowance
		case 5:
			free = allowance / 2
		}
		var err error
		if one.Tenant, err = harness.NewTenant(ctx, s.database, free); err != nil {
			return nil, err
		}
		if err := s.simulator.Register(ctx, one.Domain); err != nil {
			return nil, err
		}
	}
	_, err := s.database.Pool().Exec(ctx,
		"UPDATE organizations SET has_payment_method = true, monthly_spend_cap_cents = $2 WHERE id = $1", planned[5].ID, cents)
	if err != nil {
		return nil, fmt.Errorf("set a spend cap: %w", err)
	}
	return planned, nil
}
