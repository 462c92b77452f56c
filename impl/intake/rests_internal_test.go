package intake

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

// While the processors are short and another organization is active, one with several messages in a transaction rests after
// it; the other does not wait for that. Alone, or while they are not short, it never rests.
func TestFloodsRestUnderPressure(t *testing.T) {
	t.Parallel()
	const took = 10 * time.Millisecond
	for name, one := range map[string]struct {
		pressure, company bool
		pause             time.Duration
	}{
		"short of processors":        {pressure: true, company: true, pause: took},
		"short of processors, alone": {pressure: true},
		"not short":                  {company: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				flooding, quiet := uuid.New(), uuid.New()
				var ended atomic.Int64
				store := func(_ *commitQueue, group []*submission) {
					<-time.After(took)
					ended.Add(1)
					for _, submitted := range group {
						submitted.finish(nil)
					}
				}
				q := newCommitQueue(Config{GroupSize: 10, MaxTransactions: 1, QueueSize: 1000}, store, newRests(func() bool { return one.pressure }))
				accept := func(organization uuid.UUID, messages int) time.Duration {
					submitted := &submission{ctx: t.Context(), done: make(chan struct{})}
					for range messages {
						submitted.messages = append(submitted.messages, Message{OrganizationID: organization})
					}
					began := time.Now()
					if err := q.submit(submitted); err != nil {
						t.Error(err)
					}
					return time.Since(began)
				}
				if one.company {
					accept(quiet, 1)
				}
				accept(flooding, 5)
				// While it rests, the other does not.
				if one.company {
					done := make(chan time.Duration)
					go func() { done <- accept(quiet, 1) }()
					if waited := <-done; waited != took {
						t.Errorf("the other organization waited %s", waited)
					}
					accept(flooding, 5)
				}
				if waited := accept(flooding, 5); waited != took+one.pause {
					t.Errorf("a message waited %s", waited)
				}
				<-time.After(2 * activeFor)
				if waited := accept(flooding, 5); waited != took {
					t.Errorf("a message alone waited %s", waited)
				}
				if waited := accept(flooding, 5); waited != took {
					t.Errorf("the next message alone waited %s", waited)
				}
			})
		})
	}
}
