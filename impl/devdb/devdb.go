// Package devdb runs a private Postgres server for development and tests, from the Postgres binaries of the machine.
//
// The server listens on a Unix socket in a folder that no other user can enter, so it needs no password and takes no
// port. It also runs if the caller is root, as which Postgres refuses to run, and in a folder whose parents only the
// caller can enter.
//
//   - devdb.go: [Options]; devdb_other.go: systems without Unix sockets
//   - server.go: start, stop, kill, restart
//   - binaries.go: where initdb and postgres are
//   - cluster.go: the data folder: lock, creation, owner, log, socket folder
//   - orphans.go: removes what an earlier process left: a running Postgres, a stale pid file
//   - process.go: a child process that ends with us; system_unix.go, system_linux.go: users and signals
//
// On Linux Postgres also ends when its parent is killed; elsewhere such an orphan is stopped at the next start.
package devdb

import "log/slog"

// Database is the name of the database that every server has, empty at first.
const Database = "mailstack"

// Options configures a server.
type Options struct {
	// DataDir is the folder that holds the data, Postgres's log and a lock; it is created if missing. One process can
	// use it at a time.
	DataDir string
	// Durable keeps committed data through a crash of the machine. Without it, which is for tests, a crash of the
	// machine may destroy the data; a crash of Postgres does not.
	Durable bool
	// MaxConnections is how many connections Postgres accepts. Zero means 100.
	MaxConnections int
	// Settings are settings of Postgres, "name=value", that take precedence over the settings of this package.
	Settings []string
	// Environment holds further variables, "NAME=value", of the server's process.
	Environment []string
	// Log gets a message about each Postgres of an earlier process that is stopped. Nil discards.
	Log *slog.Logger
}
