package takeover

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
)

// maxRefused is how often a session that comes back asks for its lock before it becomes another worker: Postgres may not
// have noticed yet that the last one has ended.
const maxRefused = 4

var errLocked = errors.New("the lock of the worker is another session's")

// join begins a session, as the same worker if it has not been taken over.
func (s *Session) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	conn, err := s.config.Store.OpenSession(ctx)
	if err != nil {
		return err
	}
	id, backend, err := s.enter(ctx, conn)
	if err != nil {
		conn.Close(ctx)
		return err
	}
	s.using.Lock()
	defer s.using.Unlock()
	select {
	case <-s.ended: // the last one
	default:
	}
	s.conn = conn
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.state, s.id, s.backend = joined, id, backend
	return nil
}

func (s *Session) enter(ctx context.Context, conn *store.Session) (id uuid.UUID, backend int32, err error) {
	if s.id != uuid.Nil && s.refused < maxRefused {
		backend, known, err := lock(ctx, conn, s.id)
		switch {
		case errors.Is(err, errLocked):
			s.refused++
			return s.id, 0, err
		case err != nil:
			return s.id, 0, err
		case known:
			s.refused = 0
			return s.id, backend, nil
		}
	}
	id, err = uuid.NewRandom()
	if err != nil {
		return id, 0, fmt.Errorf("make the id of a worker: %w", err)
	}
	if backend, _, err = lock(ctx, conn, id); err != nil {
		return id, 0, err
	}
	// With its lock, so that the others never find it free.
	if err := conn.WorkerInsert(ctx, db.WorkerInsertParams{ID: id, Now: s.config.Now()}); err != nil {
		return id, 0, fmt.Errorf("store a worker: %w", err)
	}
	s.refused = 0
	return id, backend, nil
}

// lock takes the lock of a worker, and tells which process of Postgres has it now, and whether the worker is known.
func lock(ctx context.Context, conn *store.Session, id uuid.UUID) (backend int32, known bool, err error) {
	before, err := conn.WorkerAlive(ctx, id)
	if err != nil {
		return 0, false, fmt.Errorf("look for a worker: %w", err)
	}
	locked, err := conn.WorkerLock(ctx, id)
	if err != nil {
		return 0, false, fmt.Errorf("lock a worker: %w", err)
	}
	if !locked {
		return 0, false, errLocked
	}
	after, err := conn.WorkerAlive(ctx, id)
	if err != nil {
		return 0, false, fmt.Errorf("look for a worker: %w", err)
	}
	if before.Backend != after.Backend {
		return 0, false, errPooled
	}
	return after.Backend, after.Known, nil
}
