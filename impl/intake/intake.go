// Package intake accepts mail: every message that is sent goes through it.
//
//   - intake.go: the entry point (Accept) and the one transaction behind it
//   - group_commit.go: how requests that arrive together share a transaction; rests.go: when floods give way
//   - idempotency.go: idempotency keys
//   - check.go: the checks in that transaction: keys, domains, suppressions
//   - reserve.go: the allowance; usage_lock.go: usage rows that another transaction holds for long
//   - limits.go: how many emails an organization may send; rates.go: of those, how many per second
//   - insert.go, id.go: the rows
//   - message.go: messages and their results
//   - observe.go: what metrics and traces receive
//
// The usage counter of an organization is one hot row, and a commit costs a write to disk: one transaction per
// request lets a busy organization do about as many requests a second as its disk does commits. So the requests
// that arrive while a commit is in flight share the next. No request waits for a timer: alone, it has a
// transaction of its own.
package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/store"
)

// ErrOverloaded is returned when the queue is full, or when a request reached its deadline while it waited there.
var ErrOverloaded = errors.New("too many messages are waiting to be accepted")

// Store is the part of store.Store that acceptance needs.
type Store interface {
	// TxPipelined runs a transaction; see store.Store.
	TxPipelined(ctx context.Context, work func(tx *db.Queries) error) error
	// NotifySends wakes the workers; see store.Store.
	NotifySends(dueAt time.Time, organizations []uuid.UUID)
}

// Config of an [Intake]. Store, Now and Random are required.
type Config struct {
	Store Store
	// Now is the clock. One reading per transaction decides the billing period and the times of its messages.
	Now func() time.Time
	// Random makes the ids of messages hard to guess.
	Random io.Reader
	// GroupSize bounds the messages of a transaction that several requests share; a request of more has a
	// transaction of its own. At 1 every request has its own. Zero means 256.
	GroupSize int
	// MaxTransactions is how many transactions are in flight at once, in each queue. Zero means 1, which makes the
	// groups largest: a second transaction of the same organization would only wait for the first one's lock on
	// the usage row.
	MaxTransactions int
	// QueueSize bounds the messages that wait for a transaction; organizations that hold less than their share may have as
	// many again. Zero means 10,000, about a second's work.
	QueueSize int
	// Limits are how many emails organizations may send by default. The daily ones are exact; those per second hold in each
	// process. The zero value means no limits.
	Limits Limits
	// Pressure reports whether the processors of the machine are short. Nil means never.
	Pressure func() bool
	// Observer receives every transaction and every request. Nil means none.
	Observer Observer
	// Tracer traces requests into the transaction. Nil means none.
	Tracer Tracer
}

const (
	defaultGroup   = 256
	defaultWaiting = 10_000
	// maxGroupBytes bounds the bodies of a group.
	maxGroupBytes = 8 << 20
	// Requests with bodies of more than largeRequest bytes have a queue of their own: a hundred messages of 100 KB take longer
	// than a thousand small ones, which must not wait for them. So have requests with more than fewMessages messages: a single
	// message would wait for one several times as long as for another single message.
	largeRequest = 1 << 20
	fewMessages  = 10
	// transactionTimeout bounds a transaction.
	transactionTimeout = 15 * time.Second
	// lockRetries is how often a group is tried again whose lock timed out and is free by then.
	lockRetries = 2
)

// Intake accepts messages.
type Intake struct {
	config Config
	// small is for requests with few messages, batches for requests with more, large for large bodies.
	small, batches, large *commitQueue

	ids    ids
	locked lockedUsage
	rates  rates
}

// New returns an Intake.
func New(config Config) *Intake {
	if config.GroupSize <= 0 {
		config.GroupSize = defaultGroup
	}
	if config.MaxTransactions <= 0 {
		config.MaxTransactions = 1
	}
	if config.QueueSize <= 0 {
		config.QueueSize = defaultWaiting
	}
	intake := &Intake{config: config, ids: ids{random: config.Random}}
	rests := newRests(config.Pressure)
	intake.small = newCommitQueue(config, intake.store, rests)
	intake.batches = newCommitQueue(config, intake.store, rests)
	intake.large = newCommitQueue(config, intake.store, rests)
	return intake
}

// Accept stores the messages of one request. It returns a result for each, in order: the id of the message, or a
// [*Refusal]. When it returns without an error, what it accepted is committed together with the work of sending
// it. An error means that nothing was stored, or that this is unknown (store.IsUnavailable), because the
// connection was lost during the commit. When the queue is full, Accept returns [ErrOverloaded] at once.
//
// When ctx ends while the request waits in the queue, nothing is stored. Once its transaction has begun, Accept
// waits for the end of the transaction.
func (intake *Intake) Accept(ctx context.Context, messages []Message) ([]Result, error) {
	return intake.AcceptOnce(ctx, messages, nil)
}

// AcceptOnce is [Intake.Accept] under an idempotency key; a nil claim means none. The response is stored with the
// messages. It stores nothing and returns an error for a request that repeats a completed one
// ([*idempotency.Replay]), whose key belongs to a different request ([idempotency.ErrReused]), or whose key is in
// use right now ([idempotency.ErrInProgress]).
func (intake *Intake) AcceptOnce(ctx context.Context, messages []Message, claim *Idempotency) ([]Result, error) {
	submitted := &submission{messages: messages, key: claim, ctx: ctx, done: make(chan struct{})}
	defer intake.startTrace(submitted)()
	if err := intake.submit(intake.queueOf(submitted), submitted); err != nil {
		return nil, fmt.Errorf("accept messages: %w", err)
	}
	return submitted.results, nil
}

func (intake *Intake) queueOf(submitted *submission) *commitQueue {
	switch {
	case submitted.bytes() > largeRequest:
		return intake.large
	case len(submitted.messages) > fewMessages:
		return intake.batches
	}
	return intake.small
}

// Waiting returns how many messages wait for a transaction or are in one.
func (intake *Intake) Waiting() int {
	return intake.small.depth() + intake.batches.depth() + intake.large.depth()
}

// Full reports whether Accept would return [ErrOverloaded] to every organization. size is the size of the request in bytes,
// negative where it is unknown; several says that it may have more messages than one. Each queue in which the request may
// have to wait must be full.
func (intake *Intake) Full(size int64, several bool) bool {
	return intake.small.full() && (!several || intake.batches.full()) && (size >= 0 && size <= largeRequest || intake.large.full())
}

// store accepts a group in one transaction. When Postgres refuses a statement, or the code panics, the group is
// split until the request that causes it is alone, so that no other request fails with it. When a usage row is locked for
// long, the requests of its organization are refused and the others are accepted without them.
func (intake *Intake) store(queue *commitQueue, group []*submission) {
	// The context values of the first request stand for all. From here on only the group's own deadline counts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(group[0].ctx), transactionTimeout)
	defer cancel()
	intake.storeOrSplit(ctx, queue, group, lockRetries)
}

// storeOrSplit repeats a group at most so many times when the lock that it waited for in vain is free again.
func (intake *Intake) storeOrSplit(ctx context.Context, queue *commitQueue, group []*submission, lockRetries int) {
	err := intake.runObserved(ctx, queue, group)
	var panicked *panicError
	if len(group) > 1 && (store.IsStatementError(err) || errors.As(err, &panicked)) {
		intake.storeOrSplit(ctx, queue, group[:len(group)/2], lockRetries)
		intake.storeOrSplit(ctx, queue, group[len(group)/2:], lockRetries)
		return
	}
	if store.IsLockTimeout(err) {
		others, failed := intake.setAsideLocked(ctx, group)
		switch {
		case failed != nil:
		case len(others) == 0:
			return
		case len(others) < len(group):
			intake.storeOrSplit(ctx, queue, others, lockRetries)
			return
		case lockRetries > 0:
			intake.storeOrSplit(ctx, queue, group, lockRetries-1)
			return
		}
	}
	for _, submitted := range group {
		submitted.finish(cmp.Or(err, submitted.prior))
	}
}

func (intake *Intake) runTransaction(ctx context.Context, queue *commitQueue, group []*submission) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = &panicError{caught, debug.Stack()}
		}
	}()
	order := &reserveOrder{reserveFirst: queue.reserveFirst.Load()}
	var clock time.Time
	for {
		err = intake.config.Store.TxPipelined(ctx, func(tx *db.Queries) error {
			clock = intake.config.Now().UTC()
			return intake.accept(ctx, tx, group, clock, order)
		})
		if !errors.Is(err, errAllowanceExceeded) {
			break
		}
		order.reserveFirst = true
	}
	queue.reserveFirst.Store(!order.fitted)
	switch {
	case errors.Is(err, errNothingAccepted):
		return nil
	case err == nil:
		intake.config.Store.NotifySends(clock.Truncate(time.Millisecond), organizationsOf(group))
	}
	return err
}

// panicError is a recovered panic of the transaction's goroutine, which would otherwise end the process.
type panicError struct {
	caught any
	stack  []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.caught, p.stack) }

// errAllowanceExceeded rolls back a transaction that has inserted more messages than the allowance covers.
var errAllowanceExceeded = errors.New("the allowance does not cover what was inserted")

// errNothingAccepted rolls the transaction back: refused messages leave no rows behind.
var errNothingAccepted = errors.New("nothing was accepted")

// accept acquires idempotency keys, checks, inserts and reserves. It is called again when the transaction is
// repeated, so it resets what an earlier call has set.
func (intake *Intake) accept(ctx context.Context, tx *db.Queries, group []*submission, clock time.Time, order *reserveOrder) error {
	// Times are stored to the millisecond, as in the id: lists by time are ordered by id.
	now := clock.Truncate(time.Millisecond)
	working, err := acquireKeys(ctx, tx, group, clock)
	if err != nil {
		return err
	}
	if len(working) == 0 {
		return errNothingAccepted
	}
	all := candidatesOf(working)
	found, err := loadPreconditions(ctx, tx, all, intake.config.Limits, clock)
	if err != nil {
		return err
	}
	check(all, found)
	intake.checkRates(working, found, clock)
	if err := intake.insertAndReserve(ctx, tx, all, found, now, order); err != nil {
		return err
	}
	kept, err := responsesOf(working)
	if err != nil {
		return err
	}
	shareLeaderResponse(group)
	switch {
	case len(kept) > 0:
		return idempotency.Save(ctx, tx, clock, kept...)
	case len(remaining(all)) == 0:
		return errNothingAccepted
	}
	return nil
}

// reserveOrder holds whether a transaction reserves before it inserts, and whether everything then fitted the
// allowance.
type reserveOrder struct{ reserveFirst, fitted bool }

// insertAndReserve inserts and reserves. Transactions of an organization wait for the lock on its usage row, so
// the lock is taken last, after the inserts, and held for little more than the commit. When a message then does
// not fit, the transaction begins again and reserves first. Later transactions reserve first as well, until
// everything in one fits: an organization near its limit costs a rollback once, not every time.
func (intake *Intake) insertAndReserve(
	ctx context.Context, tx *db.Queries, all []*candidate, found preconditions, now time.Time, order *reserveOrder,
) error {
	checked := len(remaining(all))
	if !order.reserveFirst {
		if err := intake.insert(ctx, tx, all, now); err != nil {
			return err
		}
	}
	if err := reserve(ctx, tx, all, found, now); err != nil {
		return err
	}
	order.fitted = len(remaining(all)) == checked
	switch {
	case order.reserveFirst:
		return intake.insert(ctx, tx, all, now)
	case !order.fitted:
		return errAllowanceExceeded
	}
	return nil
}
