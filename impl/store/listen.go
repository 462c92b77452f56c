package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/backoff"
)

const (
	// listenPingInterval is how long a connection may be silent before it is pinged.
	listenPingInterval = 30 * time.Second
	firstBackoff       = 50 * time.Millisecond
	longestPause       = 5 * time.Second
	backoffFactor      = 2
)

// Listen calls wake after each notification on a channel, with its payload, and once after every connect with none, since
// notifications sent before are lost. What this Store sends by itself wakes its listeners without a way through Postgres. It
// holds a connection outside the pool, reconnects forever, and returns when ctx ends. wake is called concurrently, and must
// not block.
func (s *Store) Listen(ctx context.Context, channel string, wake func(payload string)) {
	wait := firstBackoff
	defer s.listeners.add(channel, wake)()
	for ctx.Err() == nil {
		connected := false
		err := s.listenOnce(ctx, channel, func(payload string) {
			if !connected {
				connected = true
				s.listeners.set(channel, true)
			}
			wake(payload)
		})
		s.listeners.set(channel, false)
		if ctx.Err() != nil {
			return
		}
		if connected {
			wait = firstBackoff
		}
		s.log.WarnContext(ctx, "lost the connection for notifications", "channel", channel, "error", err, "retry_in", wait.String())
		if backoff.Sleep(ctx, wait) != nil {
			return
		}
		wait = min(wait*backoffFactor, longestPause)
	}
}

// listenOnce returns when the connection is lost or ctx ends.
func (s *Store) listenOnce(ctx context.Context, channel string, wake func(payload string)) error {
	conn, err := pgx.ConnectConfig(ctx, s.conn)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer closeNow(ctx, conn)
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	wake("")
	for {
		payload, notified, err := awaitNotification(ctx, conn)
		if err != nil {
			return err
		}
		if payload, origin, _ := strings.Cut(payload, originMark); notified && origin != s.origin {
			wake(payload)
		}
	}
}

// awaitNotification returns false if no notification came within listenPingInterval and the connection still works.
func awaitNotification(ctx context.Context, conn *pgx.Conn) (payload string, notified bool, err error) {
	quiet, cancel := context.WithTimeout(ctx, listenPingInterval)
	defer cancel()
	notification, err := conn.WaitForNotification(quiet)
	if err == nil {
		return notification.Payload, true, nil
	}
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return "", false, fmt.Errorf("waiting for a notification: %w", err)
	}
	ask, cancelAsk := context.WithTimeout(ctx, pingTimeout)
	defer cancelAsk()
	if err := conn.Ping(ask); err != nil {
		return "", false, fmt.Errorf("pinging the connection for notifications: %w", err)
	}
	return "", false, nil
}

// ListenWhile calls wake for every notification on channel, as [Store.Listen] does, while run runs until ctx ends.
func (s *Store) ListenWhile(ctx context.Context, channel string, wake func(payload string), run func(ctx context.Context)) {
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() { s.Listen(ctx, channel, wake) })
	run(ctx)
}
