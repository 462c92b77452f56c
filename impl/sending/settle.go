package sending

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/loglimit"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// maxGroupSize bounds how many results share a transaction.
	maxGroupSize = 200
	// commitTimeout bounds one try to store a group. It is shorter than the end of a lease that is reserved for
	// storing.
	commitTimeout = 10 * time.Second
	// The wait between tries to store a group doubles from minSettleRetry to maxSettleRetry.
	minSettleRetry = 50 * time.Millisecond
	maxSettleRetry = 2 * time.Second
	// maxRefusals is how often a reachable Postgres may refuse a single result before it is set aside.
	maxRefusals = 5
)

// settlement is a result that is to be stored.
type settlement struct {
	send      db.SendClaimRow
	domainID  uuid.UUID
	positions []int16 // of the recipients
	result    attemptResult
	done      chan struct{}
}

// settler stores results in groups: those that arrive while one group is being committed form the next group, so
// no result waits for a timer. While Postgres is unavailable it keeps what it was given, until it is aborted. It
// holds at most as many results as messages are in flight.
type settler struct {
	commit    func(ctx context.Context, group []*settlement) error
	setAside  func(ctx context.Context, one *settlement, refusal error) error
	after     func(ctx context.Context, group []*settlement) // called for every group that was stored
	recovered func()                                         // called when everything is stored after a stall
	now       func() time.Time
	log       *slog.Logger
	logs      *loglimit.Limiter
	aborted   context.Context // ends with abort
	// abort gives up the results that are not stored. The leases of their messages expire, which marks them
	// ambiguous.
	abort context.CancelFunc

	mu       sync.Mutex
	pending  []*settlement
	unstored int // given to settle and not yet stored
	active   bool
	stalled  bool
}

func newSettler(config Config, after func(ctx context.Context, group []*settlement), recovered func()) *settler {
	aborted, abort := context.WithCancel(context.Background())
	return &settler{
		commit:    newCommitFunc(config.Store, config.Now),
		setAside:  newSetAsideFunc(config.Store, config.Now),
		after:     after,
		recovered: recovered,
		now:       config.Now,
		log:       config.Log,
		logs:      loglimit.New(10 * time.Second),
		aborted:   aborted,
		abort:     abort,
	}
}

// settle stores a result together with others, and returns when it is stored or the settler is aborted.
func (s *settler) settle(ctx context.Context, one *settlement) {
	one.done = make(chan struct{})
	s.mu.Lock()
	s.pending = append(s.pending, one)
	s.unstored++
	if !s.active {
		s.active = true
		go s.flush(ctx)
	}
	s.mu.Unlock()
	select {
	case <-one.done:
	case <-s.aborted.Done():
	}
}

// isStalled reports whether results wait that could not be stored.
func (s *settler) isStalled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled
}

// pendingCount returns how many results are not stored.
func (s *settler) pendingCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unstored
}

// flush stores group after group while there are any.
func (s *settler) flush(ctx context.Context) {
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
	n := min(len(s.pending), maxGroupSize)
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

// store tries until the group is stored. It returns false when the settler is aborted first.
func (s *settler) store(ctx context.Context, group []*settlement) bool {
	wait := minSettleRetry
	refusals := 0
	for {
		err := s.try(ctx, group)
		if err == nil {
			s.after(ctx, group)
			s.complete(group)
			return true
		}
		s.stall(ctx, len(group), err)
		if !store.IsUnavailable(err) {
			refusals++
		}
		switch {
		case refusals > 0 && len(group) > 1:
			// Postgres is reachable and refuses: one bad result must not hold up the others.
			return s.storeIndividually(ctx, group)
		case refusals >= maxRefusals:
			s.giveUp(ctx, group[0], err)
			s.complete(group)
			return true
		}
		if backoff.Sleep(s.aborted, wait) != nil {
			return false
		}
		wait = min(2*wait, maxSettleRetry)
	}
}

// giveUp sets aside a result that Postgres refuses, so that the message is not sent again whenever its lease ends.
func (s *settler) giveUp(ctx context.Context, one *settlement, refusal error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if err := s.setAside(ctx, one, refusal); err != nil {
		s.log.ErrorContext(ctx, "the result of a message cannot be stored: the message will be tried again",
			"message_id", one.send.EmailID, "error", refusal, "setting_aside", err)
		return
	}
	s.log.ErrorContext(ctx, "the result of a message cannot be stored, and was set aside: the message is not sent again",
		"message_id", one.send.EmailID, "result", one.result.disposition.String(), "error", refusal)
}

func (s *settler) storeIndividually(ctx context.Context, group []*settlement) bool {
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

func (s *settler) complete(group []*settlement) {
	s.mu.Lock()
	s.unstored -= len(group)
	s.mu.Unlock()
	for _, one := range group {
		close(one.done)
	}
}

func (s *settler) stall(ctx context.Context, n int, err error) {
	s.mu.Lock()
	s.stalled = true
	s.mu.Unlock()
	if s.logs.Allow("", s.now()) {
		s.log.ErrorContext(ctx, "results of messages cannot be stored yet", "messages", n, "error", err)
	}
}
