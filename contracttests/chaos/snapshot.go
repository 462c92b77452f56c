package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/devdb"
)

// holdSnapshot keeps a snapshot open until ctx ends. When Postgres is killed, it takes another as soon as it can.
func (s *stage) holdSnapshot(ctx context.Context) {
	for ctx.Err() == nil {
		if held, err := s.holdOne(ctx); held && err != nil && ctx.Err() == nil {
			s.say("the snapshot ended: %v", err)
		}
		_ = backoff.Sleep(ctx, look) // the loop checks the context
	}
}

// holdOne takes a snapshot and holds it until ctx or its connection ends. It reports whether it had one.
func (s *stage) holdOne(ctx context.Context) (held bool, err error) {
	conn, err := pgx.Connect(ctx, s.ground.Postgres.DSN(devdb.Database))
	if err != nil {
		return false, fmt.Errorf("connect for a snapshot: %w", err)
	}
	// Closing the connection ends its transaction, whose failure means nothing.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return false, fmt.Errorf("begin a snapshot: %w", err)
	}
	begun := time.Now()
	for ; ; held = true {
		if _, err := conn.Exec(ctx, "SELECT count(*) FROM organizations"); err != nil {
			return held, fmt.Errorf("hold a snapshot: %w", err)
		}
		s.mutex.Lock()
		s.held += time.Since(begun)
		s.mutex.Unlock()
		begun = time.Now()
		if backoff.Sleep(ctx, look) != nil {
			return true, nil
		}
	}
}
