// Package intake accepts mail: everything that sends goes through it.
//
//   - intake.go: the door (Accept) and the one transaction behind it
//   - check.go: what is looked at in that transaction: keys, domains, suppressions
//   - reserve.go: the allowance
//   - insert.go, id.go: the rows
//   - message.go: what goes in and what comes out
package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/voostack/mailstack/gen/db"
)

// Store is what acceptance needs of the database.
type Store interface {
	Tx(ctx context.Context, work func(tx *db.Queries) error) error
}

// Config holds the parts of an [Intake].
type Config struct {
	Store Store
	// Now decides the billing period and the times of a message, by one reading per transaction.
	Now func() time.Time
	// Random makes the ids of messages hard to guess.
	Random io.Reader
}

// Intake accepts messages.
type Intake struct {
	config Config
}

// New makes an Intake.
func New(config Config) *Intake {
	return &Intake{config: config}
}

// submission is one request: its messages stand in order and are answered in order.
type submission struct {
	messages []Message
	results  []Result
}

// Accept takes the messages of one request, in order, and answers each: with the id it was stored under, or with a
// [*Refusal]. When it returns without an error, what it accepted is committed together with the work of sending it.
// An error means that nothing was stored.
//
// Requests that arrive together can share accept's transaction: it takes several submissions.
func (intake *Intake) Accept(ctx context.Context, messages []Message) ([]Result, error) {
	submitted := &submission{messages: messages}
	err := intake.config.Store.Tx(ctx, func(tx *db.Queries) error {
		return intake.accept(ctx, tx, []*submission{submitted})
	})
	if err != nil && !errors.Is(err, errNothingAccepted) {
		return nil, fmt.Errorf("accept messages: %w", err)
	}
	return submitted.results, nil
}

// errNothingAccepted rolls the transaction back: what is refused leaves nothing behind, not even a period that was
// opened to look at, whose price and allowance would then stand.
var errNothingAccepted = errors.New("nothing was accepted")

// accept checks, reserves and inserts. It may be repeated when the transaction is, so it begins from nothing.
func (intake *Intake) accept(ctx context.Context, tx *db.Queries, submissions []*submission) error {
	clock := intake.config.Now().UTC()
	// A time is kept to the millisecond, as the id has it: lists by time go by ids.
	now := clock.Truncate(time.Millisecond)
	var all []*candidate
	for _, submitted := range submissions {
		submitted.results = make([]Result, len(submitted.messages))
		for i := range submitted.messages {
			all = append(all, &candidate{
				message:    &submitted.messages[i],
				result:     &submitted.results[i],
				submission: submitted,
			})
		}
	}
	if err := check(ctx, tx, all, clock); err != nil {
		return err
	}
	if err := reserve(ctx, tx, all, now); err != nil {
		return err
	}
	if len(remaining(all)) == 0 {
		return errNothingAccepted
	}
	return intake.insert(ctx, tx, all, now)
}
