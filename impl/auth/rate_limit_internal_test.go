package auth

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
)

// A request takes 1, a batch 1 for each 10 items begun; what it takes beyond what is left is paid by the requests after it.
func TestItemsArePaidFor(t *testing.T) {
	t.Parallel()
	limiter, key, now, header := newKeyLimiter(10), uuid.New(), time.Unix(1_800_000_000, 0), http.Header{}
	for _, step := range []struct {
		items int
		left  string
	}{{1, `"key";r=19;t=1`}, {10, `"key";r=18;t=1`}, {11, `"key";r=16;t=1`}, {100, `"key";r=6;t=2`}, {100, `"key";r=0;t=3`}} {
		if _, allowed := limiter.allow(key, now, header); !allowed {
			t.Fatalf("%d items are refused", step.items)
		}
		limiter.charge(key, now, header, (step.items-1)/itemsPerRequest)
		if got := header.Get("RateLimit"); got != step.left {
			t.Errorf("after %d items: %s, want %s", step.items, got, step.left)
		}
	}
	if retryAfter, allowed := limiter.allow(key, now, header); allowed || retryAfter != 1 {
		t.Errorf("allowed %t, retry after %d", allowed, retryAfter)
	}
	if _, allowed := limiter.allow(key, now.Add(time.Second), header); !allowed {
		t.Error("a second later the debt is not paid")
	}
	if _, allowed := newKeyLimiter(0).allow(key, now, header); !allowed {
		t.Error("without a limit a request is refused")
	}
	newKeyLimiter(0).charge(key, now, header, 1000)
}
