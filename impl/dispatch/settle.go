package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// maxGroup bounds how many outcomes share a transaction.
	maxGroup = 200
	// commitTimeout bounds one try to store a group; it is shorter than the end of a lease that is kept for it.
	commitTimeout = 10 * time.Second
	// The wait between tries to store a group grows from the first to the longest.
	retryFirst   = 50 * time.Millisecond
	retryLongest = 2 * time.Second
	// maxRefusals is how often Postgres may refuse one outcome by itself, while it answers, before it is dropped.
	maxRefusals = 5
)

// settlement is an outcome on its way into the rows.
type settlement struct {
	send      db.SendClaimRow
	domainID  uuid.UUID
	positions []int16 // of the recipients
	outcome   outcome
	done      chan struct{}
}

// settler stores outcomes in groups: what arrives while one group is being committed is the next group, so nobody
// waits for a timer. It never drops what it was given because Postgres is gone, only when it is halted. It holds no
// more than there are messages in hand.
type settler struct {
	commit    func(ctx context.Context, group []*settlement) error
	after     func(ctx context.Context, group []*settlement) // called for every group that was stored
	recovered func()                                         // called when nothing waits any more that could not be stored
	now       func() time.Time
	log       *slog.Logger
	loud      *seldom
	halted    chan struct{}
	once      sync.Once

	mu      sync.Mutex
	pending []*settlement
	held    int // given and not yet stored
	active  bool
	stalled bool
}

func newSettler(config Config, after func(ctx context.Context, group []*settlement), recovered func()) *settler {
	return &settler{
		commit:    committer(config.Store, config.Now),
		after:     after,
		recovered: recovered,
		now:       config.Now,
		log:       config.Log,
		loud:      newSeldom(10 * time.Second),
		halted:    make(chan struct{}),
	}
}

// settle stores an outcome together with others, and returns when it is stored or the settler is halted.
func (s *settler) settle(ctx context.Context, one *settlement) {
	one.done = make(chan struct{})
	s.mu.Lock()
	s.pending = append(s.pending, one)
	s.held++
	if !s.active {
		s.active = true
		go s.drain(ctx)
	}
	s.mu.Unlock()
	select {
	case <-one.done:
	case <-s.halted:
	}
}

// halt gives up on what cannot be stored. The leases of those messages run out, which marks them ambiguous.
func (s *settler) halt() { s.once.Do(func() { close(s.halted) }) }

// behind reports whether outcomes wait that could not be stored.
func (s *settler) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled
}

// unstored is how many outcomes are not stored.
func (s *settler) unstored() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// drain stores group after group while there are any.
func (s *settler) drain(ctx context.Context) {
	for {
		group := s.next()
		if len(group) == 0 || !s.store(ctx, group) {
			return
		}
	}
}

func (s *settler) next() []*settlement {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.pending), maxGroup)
	if n == 0 {
		if s.stalled {
			defer s.recovered()
		}
		s.active, s.stalled = false, false
		s.pending = nil
		return nil
	}
	group := s.pending[:n:n]
	s.pending = s.pending[n:]
	return group
}

// store tries until the group is stored. It returns false when the settler was halted before.
func (s *settler) store(ctx context.Context, group []*settlement) bool {
	wait := retryFirst
	refusals := 0
	for {
		err := s.try(ctx, group)
		if err == nil {
			s.after(ctx, group)
			s.release(group)
			return true
		}
		s.stall(ctx, len(group), err)
		if !store.IsUnavailable(err) {
			refusals++
		}
		switch {
		case refusals > 0 && len(group) > 1:
			// Postgres answers and refuses: one of them must not hold up the others.
			return s.storeEach(ctx, group)
		case refusals >= maxRefusals:
			s.log.ErrorContext(ctx, "an outcome cannot be stored, its message will be tried again",
				"message_id", group[0].send.EmailID, "error", err)
			s.release(group)
			return true
		}
		if !s.pause(wait) {
			return false
		}
		wait = min(2*wait, retryLongest)
	}
}

func (s *settler) storeEach(ctx context.Context, group []*settlement) bool {
	for i := range group {
		if !s.store(ctx, group[i:i+1]) {
			return false
		}
	}
	return true
}

func (s *settler) try(ctx context.Context, group []*settlement) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	return s.commit(ctx, group)
}

func (s *settler) release(group []*settlement) {
	s.mu.Lock()
	s.held -= len(group)
	s.mu.Unlock()
	for _, one := range group {
		close(one.done)
	}
}

func (s *settler) stall(ctx context.Context, n int, err error) {
	s.mu.Lock()
	s.stalled = true
	s.mu.Unlock()
	if s.loud.allows("", s.now()) {
		s.log.ErrorContext(ctx, "outcomes of messages cannot be stored yet", "messages", n, "error", err)
	}
}

func (s *settler) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.halted:
		return false
	}
}
