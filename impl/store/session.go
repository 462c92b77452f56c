package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"

	"github.com/voostack/mailstack/gen/db"
)

// Postgres notices within a second that a process has died while a statement of it waits, and within about ten seconds that
// the machine at the other end of a connection has vanished.
const (
	noticeDeath     = "SELECT set_config('client_connection_check_interval', '1s', false)"
	noticeVanishing = "SELECT set_config('tcp_keepalives_idle', '3', false), set_config('tcp_keepalives_interval', '2', false), " +
		"set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '9000', false)"
)

// Session is a connection outside the pool, for what lasts as long as a session of Postgres, such as advisory locks. It is
// not safe for concurrent use.
type Session struct {
	*db.Queries
	conn *pgx.Conn
}

// OpenSession connects.
func (s *Store) OpenSession(ctx context.Context) (*Session, error) {
	conn, err := pgx.ConnectConfig(ctx, s.conn)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	pgxuuid.Register(conn.TypeMap())
	for _, setting := range []string{noticeDeath, noticeVanishing} {
		// Where the system of Postgres cannot do it, the end is noticed later.
		if _, err := conn.Exec(ctx, setting); err != nil && !IsStatementError(err) {
			closeNow(ctx, conn)
			return nil, fmt.Errorf("setting up a session: %w", err)
		}
	}
	return &Session{Queries: db.New(conn), conn: conn}, nil
}

// Close ends the session. It waits for Postgres only for a bounded time.
func (s *Session) Close(ctx context.Context) { closeNow(ctx, s.conn) }

// closeNow closes a connection even when ctx has ended. A failure loses nothing.
func closeNow(ctx context.Context, conn *pgx.Conn) {
	finish, cancel := detach(ctx)
	defer cancel()
	_ = conn.Close(finish)
}
