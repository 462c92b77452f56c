package results

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
	// CommitTimeout bounds one try to store a group. It is shorter than the end of a lease that is reserved for
	// storing.
	CommitTimeout = 10 * time.Second
	// The wait between tries to store a group doubles from minSettleRetry to maxSettleRetry.
	minSettleRetry = 50 * time.Millisecond
	maxSettleRetry = 2 * time.Second
	// maxRefusals is how often a reachable Postgres may refuse a single result before it is set aside.
	maxRefusals = 5
)

// Settlement is a result that is to be stored.
type Settlement struct {
	Send      db.SendClaimRow
	DomainID  uuid.UUID
	Positions []int16 // of the recipients
	Result    Result
	done      chan struct{}
}

// Settler stores results in groups: those that arrive while one group is being committed form the next group, so
// no result waits for a timer. While Postgres is unavailable it keeps what it was given, until it is aborted. It
// holds at most as many results as messages are in flight.
type Settler struct {
	commit    func(ctx context.Context, group []*Settlement) error
	setAside  func(ctx context.Context, one *Settlement, refusal error) error
	after     func(ctx context.Context, group []*Settlement) // called for every group that was stored
	recovered func()                                         // called when everything is stored after a stall
	now       func() time.Time
	log       *slog.Logger
	logs      *loglimit.Limiter
	aborted   context.Context // ends with Abort
	// Abort gives up the results that are not stored. The leases of their messages expire, which marks them
	// ambiguous.
	Abort context.CancelFunc

	mu       sync.Mutex
	pending  []*Settlement
	unstored int // given to Settle and not yet stored
	active   bool
	stalled  bool
}

// Config of a [Settler].
type Config struct {
	Store *store.Store
	Now   func() time.Time
	Log   *slog.Logger
}

// New returns a settler that calls after for every group that it stored, and recovered when everything is stored after a
// stall.
func New(config Config, after func(ctx context.Context, group []*Settlement), recovered func()) *Settler {
	aborted, abort := context.WithCancel(context.Background())
	return &Settler{
		commit:    newCommitFunc(config.Store, config.Now),
		setAside:  newSetAsideFunc(config.Store, config.Now),
		after:     after,
		recovered: recovered,
		now:       config.Now,
		log:       config.Log,
		logs:      loglimit.New(10 * time.Second),
		aborted:   aborted,
		Abort:     abort,
	}
}

// Settle stores a result together with others, and returns when it is stored or the settler is aborted.
func (s *Settler) Settle(ctx context.Context, one *Settlement) {
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

// IsStalled reports whether results wait that could not be stored.
func (s *Settler) IsStalled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled
}

// PendingCount returns how many results are not stored.
func (s *Settler) PendingCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unstored
}

// flush stores group after group while there are any.
func (s *Settler) flush(ctx context.Context) {
	for {
		group := s.next()
		if len(group) == 0 || !s.store(ctx, group) {
			return
		}
	}
}

func (s *Settler) next() []*Settlement {
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
func (s *Settler) store(ctx context.Context, group []*Settlement) bool {
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
func (s *Settler) giveUp(ctx context.Context, one *Settlement, refusal error) {
	ctx, cancel := context.WithTimeout(ctx, CommitTimeout)
	defer cancel()
	if err := s.setAside(ctx, one, refusal); err != nil {
		s.log.ErrorContext(ctx, "the result of a message cannot be stored: the message will be tried again",
			"message_id", one.Send.EmailID, "error", refusal, "setting_aside", err)
		return
	}
	s.log.ErrorContext(ctx, "the result of a message cannot be stored, and was set aside: the message is not sent again",
		"message_id", one.Send.EmailID, "result", one.Result.Disposition.String(), "error", refusal)
}

func (s *Settler) storeIndividually(ctx context.Context, group []*Settlement) bool {
	for i := range group {
		if !s.store(ctx, group[i:i+1]) {
			return false
		}
	}
	return true
}

func (s *Settler) try(ctx context.Context, group []*Settlement) error {
	ctx, cancel := context.WithTimeout(ctx, CommitTimeout)
	defer cancel()
	return s.commit(ctx, group)
}

func (s *Settler) complete(group []*Settlement) {
	s.mu.Lock()
	s.unstored -= len(group)
	s.mu.Unlock()
	for _, one := range group {
		close(one.done)
	}
}

func (s *Settler) stall(ctx context.Context, n int, err error) {
	s.mu.Lock()
	s.stalled = true
	s.mu.Unlock()
	if s.logs.Allow("", s.now()) {
		s.log.ErrorContext(ctx, "results of messages cannot be stored yet", "messages", n, "error", err)
	}
}
