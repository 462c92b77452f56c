// Package takeover gives the work of a worker process that ended to others within seconds, instead of when its leases end.
//
//   - session.go: [Session], by which Postgres knows that a worker lives
//   - join.go: how a session begins, and comes back
//   - sweep.go: taking over what workers left whose sessions have ended
//
// A worker holds an advisory lock in a session of Postgres of its own. Claimed rows name it. Postgres ends the session and
// frees the lock when the process dies; the others look for free locks each second, and take over what they find free
// twice, so that a session which comes back at once changes nothing.
//
// A session that ended proves nothing about the process: it may be cut off. So messages that may be at SES stay leased
// until their time, as they do while a worker is suspended. Messages are started in the session itself: that cannot happen
// after its end.
package takeover

import (
	"context"
	"errors"
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
	// beat is the time between two signs of life, and between two looks at the others.
	beat = time.Second
	// beatTimeout bounds one statement in the session, joinTimeout its beginning.
	beatTimeout, joinTimeout = 3 * time.Second, 5 * time.Second
	minRejoin, maxRejoin     = 50 * time.Millisecond, time.Second
	logInterval              = time.Minute
)

var (
	// ErrLost is returned for what was claimed in a session that has ended.
	ErrLost = errors.New("takeover: the session of the worker has ended")
	// errPooled is returned where statements of a session are served by different sessions of Postgres.
	errPooled = errors.New("takeover: a connection pooler pools by transaction")
)

// Config of a [Session]. All of it is required.
type Config struct {
	Store  *store.Store
	Now    func() time.Time
	Random func() float64
	Log    *slog.Logger
}

// Session is the session of a worker process. It can be run once.
type Session struct {
	config   Config
	logs     *loglimit.Limiter
	suspects map[uuid.UUID]bool // whose locks were free at the last look
	refused  int                // how often the lock of this worker was another session's

	using sync.Mutex // held while the connection is used
	conn  *store.Session
	ended chan struct{} // a token after the loss of the connection

	mutex   sync.Mutex // held for moments
	state   state
	id      uuid.UUID
	backend int32 // the process of Postgres that serves the session
}

type state int

const (
	// timeOnly: there is no session, and only time ends a lease.
	timeOnly state = iota
	// waiting: nothing may be claimed or started until there is a session.
	waiting
	joined
)

// New returns a session that has not begun. Until it is run, leases end by time alone.
func New(config Config) *Session {
	return &Session{config: config, logs: loglimit.New(logInterval), ended: make(chan struct{}, 1)}
}

// Worker returns the id to claim under; nil means that time alone ends the leases. ready is false while nothing may be claimed.
func (s *Session) Worker() (id *uuid.UUID, ready bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch s.state {
	case timeOnly:
		return nil, true
	case waiting:
		return nil, false
	}
	worker := s.id
	return &worker, true
}

// Start notes that the messages of a claim may be at SES from now on. When it fails, none may be sent.
func (s *Session) Start(ctx context.Context, worker uuid.UUID, leasedUntil time.Time) error {
	started := int64(0)
	err := s.use(ctx, func(ctx context.Context, conn *store.Session) (err error) {
		s.mutex.Lock()
		current, backend := s.id, s.backend
		s.mutex.Unlock()
		if current != worker {
			return nil
		}
		started, err = conn.UnstartedSendStart(ctx, db.UnstartedSendStartParams{WorkerID: worker, LeasedUntil: leasedUntil, Backend: backend})
		return err
	})
	if err == nil && started == 0 {
		return ErrLost
	}
	return err
}

// Run keeps a session until ctx ends. Each time that there is one again, it calls again.
func (s *Session) Run(ctx context.Context, again func()) {
	s.set(waiting)
	defer s.leave(ctx)
	for attempt := int32(1); ctx.Err() == nil; attempt++ {
		err := s.join(ctx)
		switch {
		case errors.Is(err, errPooled):
			s.config.Log.ErrorContext(ctx, "the work of a worker that dies waits for the end of its leases", "error", err)
			s.set(timeOnly)
			again()
			return
		case err != nil:
			if ctx.Err() == nil && s.logs.Allow("join", s.config.Now()) {
				s.config.Log.WarnContext(ctx, "the session of this worker could not begin: it claims nothing until it has one", "error", err)
			}
			_ = backoff.Sleep(ctx, backoff.Exponential(minRejoin, maxRejoin, attempt, s.config.Random())) // ctx ends the loop
			continue
		}
		attempt = 0
		again()
		s.hold(ctx)
	}
}

// hold shows signs of life and looks at the others, until the session or ctx ends.
func (s *Session) hold(ctx context.Context) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		s.sweep(ctx)
		select {
		case <-ctx.Done():
			return
		case <-s.ended:
			return
		case <-ticker.C:
		}
		if s.live(ctx) != nil {
			return
		}
	}
}

// live makes sure that the session is still there.
func (s *Session) live(ctx context.Context) error {
	return s.use(ctx, func(ctx context.Context, conn *store.Session) error {
		alive, err := conn.WorkerAlive(ctx, s.id)
		switch {
		case err != nil:
			return err
		case !alive.Known || alive.Backend != s.backend:
			return ErrLost
		}
		return nil
	})
}

// use runs a statement in the session, which any failure ends.
func (s *Session) use(ctx context.Context, do func(ctx context.Context, conn *store.Session) error) error {
	s.using.Lock()
	defer s.using.Unlock()
	if s.conn == nil {
		return ErrLost
	}
	// A statement that is cut off ends the session, so that the end of ctx must not.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTimeout)
	defer cancel()
	err := do(ctx, s.conn)
	if err != nil {
		s.set(waiting)
		s.conn.Close(ctx)
		s.conn = nil
		select {
		case s.ended <- struct{}{}:
		default:
		}
	}
	return err
}

func (s *Session) set(next state) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.state = next
}

// leave ends the session. Another worker removes what tells of it.
func (s *Session) leave(ctx context.Context) {
	s.using.Lock()
	defer s.using.Unlock()
	if s.conn != nil {
		s.conn.Close(ctx)
		s.conn = nil
		s.set(waiting)
	}
}
