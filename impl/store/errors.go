package store

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// The names of constraints that [Constraint] may return. A partitioned table has the name of its parent table's
// constraint.
const (
	ConstraintOrganizationsName = "organizations_name_key"
	ConstraintAPIKeysPrefix     = "api_keys_prefix_key"
	ConstraintAPIKeysName       = "api_keys_name_key"
	ConstraintDomainsName       = "domains_organization_name_key"
	ConstraintTemplatesName     = "templates_organization_name_key"
	ConstraintSuppressionsKey   = "suppressions_pkey"
	ConstraintEmailsKey         = "emails_pkey"
	ConstraintEventsKey         = "events_pkey"
	ConstraintSendsKey          = "sends_pkey"
	ConstraintUsagePeriodsKey   = "usage_periods_pkey"
)

// lockTimeout is the SQLSTATE of a lock that was not granted in time.
const lockTimeout = "55P03"

// readOnlyTransaction is the SQLSTATE of a write on a server that takes none, such as a standby.
const readOnlyTransaction = "25006"

// unavailableStates are the SQLSTATE classes and codes that concern the server rather than the statement (Postgres,
// Appendix A).
var unavailableStates = []string{ //nolint:gochecknoglobals // a read-only table
	"08",    // connection exception
	"53",    // insufficient resources: connections, disk, memory
	"57P",   // shutdown, crash, not ready yet, database dropped
	"57014", // statement_timeout; a canceled caller gets the error of its context
	lockTimeout,
	readOnlyTransaction,
	"25P03", // idle_in_transaction_session_timeout
	"40001", // still not serialized after all attempts
	"40P01", // still deadlocked after all attempts
}

// IsUnavailable reports whether err means that the database is temporarily unusable: gone, unreachable, overloaded or
// too slow. The request is not at fault, so a later try may succeed. It is false if the caller gave up
// (context.Canceled). The error must come from a store.
func IsUnavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || errors.Is(err, puddle.ErrClosedPool) || errors.Is(err, pgconn.ErrConnClosed) {
		return true
	}
	if code := sqlState(err); code != "" {
		return slices.ContainsFunc(unavailableStates, func(state string) bool { return strings.HasPrefix(code, state) })
	}
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network)
}

// IsLockTimeout reports whether err means that a lock was not granted within lock_timeout. The error must come from a
// store.
func IsLockTimeout(err error) bool { return err != nil && sqlState(err) == lockTimeout }

// IsStatementError reports whether Postgres refused a statement for its content: nothing was stored, and trying it
// again would not help. The error must come from a store.
func IsStatementError(err error) bool { return sqlState(err) != "" && !IsUnavailable(err) }

var partitionMonth = regexp.MustCompile(`_\d{4}_\d{2}_`)

// Constraint returns the name of the constraint that a statement violated, or an empty string.
func Constraint(err error) string {
	var failure *pgconn.PgError
	if !errors.As(err, &failure) || !strings.HasPrefix(failure.Code, "23") {
		return ""
	}
	return partitionMonth.ReplaceAllString(failure.ConstraintName, "_")
}

// IsNoRows reports whether a statement for one row found none.
func IsNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

func sqlState(err error) string {
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		return failure.Code
	}
	return ""
}
