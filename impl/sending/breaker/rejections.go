package breaker

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// rejectionWindow is how long a rejection counts.
	rejectionWindow = time.Minute
	// MaxOrganizations is how many organizations SES may reject for good, one after the other and with no message
	// accepted between them, before the fault is taken to be ours: then their mail waits instead of failing.
	MaxOrganizations = 3
)

// Rejections notices that SES rejects the mail of several organizations in a row. One organization's mistake is that
// organization's; the same answer for all of them is a fault of the account or of our requests, whatever SES calls it.
type Rejections struct {
	mu       sync.Mutex
	rejected map[uuid.UUID]time.Time
}

// Accepted notes that SES took a message, which clears what was counted.
func (b *Rejections) Accepted() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.rejected)
}

// RejectedFor notes a rejection, and reports whether too many organizations were rejected for it to be believed.
func (b *Rejections) RejectedFor(organization uuid.UUID, now time.Time) (open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rejected == nil {
		b.rejected = make(map[uuid.UUID]time.Time)
	}
	for other, at := range b.rejected {
		if now.Sub(at) >= rejectionWindow {
			delete(b.rejected, other)
		}
	}
	// No more are counted than decide, so that the memory is bounded.
	if _, known := b.rejected[organization]; known || len(b.rejected) < MaxOrganizations {
		b.rejected[organization] = now
	}
	return len(b.rejected) >= MaxOrganizations
}
