// Package intake accepts mail: everything that sends goes through it.
//
//   - intake.go: the entry (Accept) and the one transaction behind it
//   - group_commit.go: how requests that arrive together come to share a transaction
//   - idempotency.go: idempotency keys
//   - check.go: what is looked at in that transaction: keys, domains, suppressions
//   - reserve.go: the allowance
//   - insert.go, id.go: the rows
//   - message.go: what goes in and what comes out
//   - observe.go: what is told to those who watch
//
// The usage counter of an organization is one hot row, and a commit costs a write to disk: one transaction per request
// lets a busy organization do about as many requests a second as its disk does commits. So the requests that arrive
// while a commit is under way share the next. Nobody waits for a timer: alone, a request has a transaction of its own.
package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/store"
)

// ErrOverloaded is the answer to a request that would have to wait behind more than a process takes on.
var ErrOverloaded = errors.New("too many messages are waiting to be accepted")

// Store is what acceptance needs of the database.
type Store interface {
	// TxPipelined runs a transaction; see store.Store.
	TxPipelined(ctx context.Context, work func(tx *db.Queries) error) error
}

// Config holds the parts of an [Intake].
type Config struct {
	Store Store
	// Now decides the billing period and the times of a message, by one reading per transaction.
	Now func() time.Time
	// Random makes the ids of messages hard to guess.
	Random io.Reader
	// GroupSize is the most messages that requests put into a transaction together; a request of more has one to itself.
	// 0: 256. At 1 every request has its own.
	GroupSize int
	// MaxTransactions is how many are under way at once, in each lane. 0: 1, which makes the groups largest: a second
	// transaction of the same organization would only wait for the first one's lock on the usage row.
	MaxTransactions int
	// QueueSize is the most messages that wait for a transaction. 0: 10,000, about a second's work.
	QueueSize int
	// Observer is told of every transaction and every request. nil: nobody is.
	Observer Observer
	// Tracer follows requests into the transaction. nil: nobody does.
	Tracer Tracer
}

const (
	defaultGroup   = 256
	defaultWaiting = 10_000
	// maxGroupBytes bounds the bodies of a group, and large tells which requests take the lane of their own: a hundred
	// messages of 100 KB take longer than a thousand small ones, which are not to wait for them.
	maxGroupBytes = 8 << 20
	largeRequest  = 1 << 20
	// transactionTimeout bounds a transaction.
	transactionTimeout = 15 * time.Second
)

// Intake accepts messages.
type Intake struct {
	config       Config
	small, large *commitQueue
	ids          ids
}

// New makes an Intake.
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
	intake.small = newCommitQueue(config, intake.store)
	intake.large = newCommitQueue(config, intake.store)
	return intake
}

// Accept takes the messages of one request, in order, and answers each: with the id it was stored under, or with a
// [*Refusal]. When it returns without an error, what it accepted is committed together with the work of sending it.
// An error means that nothing was stored, or that nobody can tell (store.IsUnavailable): the connection was lost during
// the commit. [ErrOverloaded] comes at once.
//
// When ctx ends before the request's turn has come, nothing is stored; once it has, Accept sees it through.
func (intake *Intake) Accept(ctx context.Context, messages []Message) ([]Result, error) {
	return intake.AcceptOnce(ctx, messages, nil)
}

// AcceptOnce is [Intake.Accept] under an idempotency key, where claim is not nil: the answer is stored with the messages. A
// request that was answered before gets an [*idempotency.Replay] as its error, and does nothing; so do those that end with
// [idempotency.ErrReused] and [idempotency.ErrInProgress].
func (intake *Intake) AcceptOnce(ctx context.Context, messages []Message, claim *Idempotency) ([]Result, error) {
	submitted := &submission{messages: messages, key: claim, ctx: ctx, done: make(chan struct{})}
	defer intake.startTrace(submitted)()
	lane := intake.small
	if submitted.bytes() > largeRequest {
		lane = intake.large
	}
	if err := lane.submit(submitted); err != nil {
		return nil, fmt.Errorf("accept messages: %w", err)
	}
	return submitted.results, nil
}

// Waiting is how many messages wait for a transaction or are in one.
func (intake *Intake) Waiting() int { return intake.small.depth() + intake.large.depth() }

// Full tells whether no more messages may wait, so that Accept would answer [ErrOverloaded]. size is that of the request,
// negative where nobody knows it: it decides which lane is asked.
func (intake *Intake) Full(size int64) bool {
	return intake.small.full() && (size >= 0 && size <= largeRequest || intake.large.full())
}

// store accepts a group in one transaction. Where one of them brought what Postgres refuses, or what we trip over, the
// group is split until that one is alone, so that nobody else fails with it.
func (intake *Intake) store(lane *commitQueue, group []*submission) {
	// The values of the first are those of all: nobody's deadline but the group's own counts any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(group[0].ctx), transactionTimeout)
	defer cancel()
	intake.storeOrSplit(ctx, lane, group)
}

func (intake *Intake) storeOrSplit(ctx context.Context, lane *commitQueue, group []*submission) {
	err := intake.runObserved(ctx, lane, group)
	var panicked *panicError
	if len(group) > 1 && (store.IsStatementError(err) || errors.As(err, &panicked)) {
		intake.storeOrSplit(ctx, lane, group[:len(group)/2])
		intake.storeOrSplit(ctx, lane, group[len(group)/2:])
		return
	}
	for _, submitted := range group {
		submitted.finish(cmp.Or(err, submitted.prior))
	}
}

func (intake *Intake) runTransaction(ctx context.Context, lane *commitQueue, group []*submission) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = &panicError{caught, debug.Stack()}
		}
	}()
	order := &reserveOrder{reserveFirst: lane.reserveFirst.Load()}
	for {
		err = intake.config.Store.TxPipelined(ctx, func(tx *db.Queries) error { return intake.accept(ctx, tx, group, order) })
		if !errors.Is(err, errAllowanceExceeded) {
			break
		}
		order.reserveFirst = true
	}
	lane.reserveFirst.Store(!order.fitted)
	if errors.Is(err, errNothingAccepted) {
		return nil
	}
	return err
}

// panicError is a panic of the transaction's goroutine, which would otherwise end the process.
type panicError struct {
	caught any
	stack  []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.caught, p.stack) }

// errAllowanceExceeded rolls a transaction back that has inserted messages for which the allowance turned out too small.
var errAllowanceExceeded = errors.New("the allowance does not cover what was inserted")

// errNothingAccepted rolls the transaction back: what is refused leaves nothing behind.
var errNothingAccepted = errors.New("nothing was accepted")

// accept claims, checks, inserts and reserves. It may be repeated when the transaction is, so it begins from nothing.
func (intake *Intake) accept(ctx context.Context, tx *db.Queries, group []*submission, order *reserveOrder) error {
	clock := intake.config.Now().UTC()
	// A time is kept to the millisecond, as the id has it: lists by time go by ids.
	now := clock.Truncate(time.Millisecond)
	working, err := acquireKeys(ctx, tx, group, clock)
	if err != nil {
		return err
	}
	if len(working) == 0 {
		return errNothingAccepted
	}
	all := candidatesOf(working)
	found, err := loadPreconditions(ctx, tx, all, clock)
	if err != nil {
		return err
	}
	check(all, found)
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

// reserveOrder says whether a transaction reserves before it inserts, and learns whether everything fitted.
type reserveOrder struct{ reserveFirst, fitted bool }

// insertAndReserve inserts and reserves. The lock on the usage row is what transactions of an organization wait for, so it is taken
// last, behind the inserts, and held for little more than the commit. Where something then does not fit, the transaction
// begins again and reserves first, and so do those after it until all of one fits: near its limit an organization costs
// a rollback once, not every time.
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
