package intake

import (
	"math"
	"testing"

	"github.com/voostack/mailstack/impl/billing"
	"github.com/voostack/mailstack/impl/mail"
)

// TestFit: the first message of a request that does not fit closes that request and no other.
func TestFit(t *testing.T) {
	t.Parallel()
	requests := []*submission{{}, {}}
	var all []*candidate
	for _, one := range []struct{ request, recipients int }{{0, 2}, {0, 3}, {1, 1}, {0, 1}, {1, 1}, {1, 1}, {1, 1}} {
		all = append(all, &candidate{
			message: &Message{To: make([]mail.Address, one.recipients)}, result: &Result{}, submission: requests[one.request],
		})
	}
	reserved := fit(billing.Usage{Sent: 6, FreeAllowance: 10}, math.MaxInt64, 0, all)
	accepted := ""
	for _, c := range all {
		switch {
		case !c.refused():
			accepted += "y"
		case c.result.Refusal.Reason == FreeTierExhausted:
			accepted += "n"
		}
	}
	if reserved != 4 || accepted != "ynynynn" {
		t.Errorf("reserved %d, accepted %s", reserved, accepted)
	}
}
