package sending

import (
	"context"
	"testing"
	"time"
)

func TestNoAttemptIsBegunAtTheEndOfALease(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]bool{minAttemptTime / 2: true, time.Hour: false} {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		if tooLate(ctx) != want {
			t.Errorf("with %s left it is too late: %t", left, !want)
		}
		cancel()
	}
	if tooLate(t.Context()) {
		t.Error("without a lease it is too late")
	}
}

func TestLargeBodiesHaveARoomOfTheirOwn(t *testing.T) {
	t.Parallel()
	var b bodyBudget
	b.take(largeBody)
	b.take(bodyRoom)
	if small, large := b.room(); small != bodyRoom-largeBody || large != 0 {
		t.Errorf("room for %d and %d", small, large)
	}
	if b.release(largeBody) {
		t.Error("a small body makes room for a large one")
	}
	if !b.release(bodyRoom) {
		t.Error("the room that a claim waits for is not noticed")
	}
	if small, large := b.room(); small != bodyRoom || large != bodyRoom {
		t.Errorf("room for %d and %d is left of all", small, large)
	}
	if b.release(0) {
		t.Error("room is noticed that no claim waits for")
	}
}
