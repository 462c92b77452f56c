package webhook_test

import (
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/webhook"
)

func TestConcurrencyFollowsTheAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		current, next int32
		took          time.Duration
		failed, quick bool
	}{
		"first answer":          {current: 1, took: time.Second, next: 2, quick: true},
		"more answers":          {current: 16, took: time.Millisecond, next: 32, quick: true},
		"most":                  {current: 64, took: time.Millisecond, next: 64, quick: true},
		"not quick":             {current: 2, took: 1100 * time.Millisecond, next: 4},
		"no longer quick":       {current: 64, took: 5 * time.Second, next: 8},
		"slow":                  {current: 64, took: 5*time.Second + 1, next: 1},
		"failure":               {current: 64, took: time.Millisecond, failed: true, next: 1, quick: true},
		"failure after a while": {current: 64, took: 15 * time.Second, failed: true, next: 1},
	} {
		if next, quick := webhook.Concurrency(c.current, c.took, c.failed); next != c.next || quick != c.quick {
			t.Errorf("%s: %d and quick %t, want %d and %t", name, next, quick, c.next, c.quick)
		}
	}
}
