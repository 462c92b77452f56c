package deliveries

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/webhook"
)

const (
	// maxGroupSize bounds how many results share a transaction.
	maxGroupSize = 256
	// settleTimeout bounds storing the result of an attempt. The wait between tries grows from minSettleRetry to
	// maxSettleRetry.
	settleTimeout  = 10 * time.Second
	minSettleRetry = 100 * time.Millisecond
	maxSettleRetry = 2 * time.Second
)

// settlement is the result of an attempt, or of none, that is to be stored.
type settlement struct {
	row db.DeliveryClaimRow
	// attempted is false if the delivery is put back without an attempt.
	attempted bool
	result    webhook.Result
	state     string
	// dueAt is for a delivery that is pending, finishedAt for others.
	dueAt, finishedAt time.Time

	deadline time.Time
	done     chan struct{}
}

// settler stores results in groups: those that arrive while one group is being committed form the next one, so that no
// result waits for a timer. A commit each would cost the disk, and everything else that commits, several times as much.
type settler struct {
	commit func(ctx context.Context, group []*settlement) error
	random func() float64
	log    *slog.Logger

	mutex   sync.Mutex
	pending []*settlement
	active  bool
}

// settle stores a result together with others, and returns when it is stored or settleTimeout is over. Then its lease
// expires, and the event is delivered once more under the same id.
func (s *settler) settle(ctx context.Context, one *settlement) {
	one.deadline, one.done = time.Now().Add(settleTimeout), make(chan struct{})
	s.mutex.Lock()
	s.pending = append(s.pending, one)
	if !s.active {
		s.active = true
		go s.flush(context.WithoutCancel(ctx))
	}
	s.mutex.Unlock()
	<-one.done
}

// flush stores group after group while there are any.
func (s *settler) flush(ctx context.Context) {
	for group := s.next(); len(group) > 0; group = s.next() {
		s.store(ctx, group)
	}
}

func (s *settler) next() []*settlement {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	n := min(len(s.pending), maxGroupSize)
	if n == 0 {
		s.active, s.pending = false, nil
		return nil
	}
	group := s.pending[:n:n]
	s.pending = s.pending[n:]
	return group
}

// store tries until the group is stored or its time is over. A group that Postgres refuses is halved until the culprit is
// alone.
func (s *settler) store(ctx context.Context, group []*settlement) {
	for attempt := int32(1); ; attempt++ {
		err := s.try(ctx, group)
		if err == nil {
			complete(group)
			return
		}
		refused := store.IsStatementError(err)
		if half := len(group) / 2; refused && half > 0 {
			s.store(ctx, group[:half])
			s.store(ctx, group[half:])
			return
		}
		if group = s.giveUp(ctx, group, refused, err); len(group) == 0 {
			return
		}
		_ = backoff.Sleep(ctx, backoff.Exponential(minSettleRetry, maxSettleRetry, attempt, s.random())) // ctx does not end
	}
}

func (s *settler) try(ctx context.Context, group []*settlement) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return s.commit(ctx, group)
}

// giveUp leaves out the results whose time is over, or all of them, and returns the others.
func (s *settler) giveUp(ctx context.Context, group []*settlement, all bool, err error) []*settlement {
	var left []*settlement
	now := time.Now()
	for _, one := range group {
		if !all && now.Before(one.deadline) {
			left = append(left, one)
			continue
		}
		s.log.WarnContext(ctx, "the result of a delivery could not be stored",
			slog.String("delivery_id", one.row.ID.String()), slog.Any("error", err))
		close(one.done)
	}
	return left
}

func complete(group []*settlement) {
	for _, one := range group {
		close(one.done)
	}
}
