package webhook_test

import (
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/webhook"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	for i, want := range []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
	} {
		attempt := int32(i + 1)
		least, again := webhook.RetryDelay(attempt, 0, 0)
		most, _ := webhook.RetryDelay(attempt, 0, 0.999)
		if !again || least != want || most <= least || most > want+want/10 {
			t.Errorf("after attempt %d: %v to %v", attempt, least, most)
		}
	}
	if _, again := webhook.RetryDelay(8, time.Minute, 0); again {
		t.Error("the eighth attempt is not the last")
	}
	if wait, _ := webhook.RetryDelay(1, time.Minute, 0); wait != time.Minute {
		t.Errorf("asked for a minute, got %v", wait)
	}
	if wait, _ := webhook.RetryDelay(3, time.Minute, 0); wait != 30*time.Minute {
		t.Errorf("asked for a minute, got %v", wait)
	}
}
