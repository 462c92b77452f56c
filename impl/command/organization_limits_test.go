package command_test

import (
	"testing"

	"github.com/voostack/mailstack/impl/store/storetest"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	database := "--database-url=" + storetest.URL(t)
	type limits struct {
		Daily     *int64 `json:"dailyLimit"`
		PerSecond *int64 `json:"perSecondLimit"`
	}
	var made, set, changed limits
	succeed(t, &made, "org", "create", "Acme", "--json", database)
	if made.Daily != nil || made.PerSecond != nil {
		t.Errorf("created with %+v", made)
	}
	succeed(t, &set, "org", "limits", "Acme", "--daily=1000", "--per-second=0", "--json", database)
	if set.Daily == nil || *set.Daily != 1000 || set.PerSecond == nil || *set.PerSecond != 0 {
		t.Errorf("set to %+v", set)
	}
	succeed(t, &changed, "org", "limits", "Acme", "--daily=default", "--json", database)
	if changed.Daily != nil || changed.PerSecond == nil {
		t.Errorf("changed to %+v", changed)
	}
	for _, wrong := range [][]string{{}, {"--daily=-1"}, {"--per-second=many"}} {
		if _, _, code := execute(t, append([]string{"org", "limits", "Acme", database}, wrong...)...); code != 2 {
			t.Errorf("%q: exit code %d", wrong, code)
		}
	}
}
