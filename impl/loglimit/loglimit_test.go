package loglimit_test

import (
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/loglimit"
)

func TestAKeyIsAllowedOncePerInterval(t *testing.T) {
	t.Parallel()
	limiter, start := loglimit.New(time.Minute), time.Unix(1_800_000_000, 0)
	for _, step := range []struct {
		key   string
		after time.Duration
		want  bool
	}{
		{"a", 0, true}, {"a", 59 * time.Second, false}, {"b", 59 * time.Second, true}, {"a", time.Minute, true}, {"b", 61 * time.Second, false},
	} {
		if got := limiter.Allow(step.key, start.Add(step.after)); got != step.want {
			t.Errorf("%s after %s: %t, want %t", step.key, step.after, got, step.want)
		}
	}
}
