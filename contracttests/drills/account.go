package main

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/mail"
)

// account compares the responses that the clients received with the database and with the simulator's journal.
func (s *stage) account(ctx context.Context, c *clients) (figures, error) {
	found := figures{
		requests: c.requests, statuses: c.statuses, errors: c.broken, gap: c.gap, accepted: len(c.told),
		down: s.down, ambiguous: s.ambiguous, example: c.examples(),
	}
	counted, err := s.simulator.Answers(ctx)
	if err != nil {
		return found, err
	}
	found.ambiguous += counted.Dropped + counted.GivenUp
	times, err := s.journal(ctx, c, &found)
	if err != nil {
		return found, err
	}
	stored, err := s.stored(ctx)
	if err != nil {
		return found, err
	}
	for id := range c.told {
		message, present := stored[id]
		switch {
		case present && message.waiting:
			found.stuck++
		case present && message.outcome == mail.OutcomeSendFailed:
			found.failed++
		case present && times[id] > 0:
			found.sent++
		default:
			found.lost++
		}
	}
	for id := range stored {
		if _, told := c.told[id]; !told {
			found.doubled++
		}
	}
	return found, nil
}

// journal returns how many times SES accepted each message, and notes the first after the return of Postgres and the
// longest wait.
func (s *stage) journal(ctx context.Context, c *clients, found *figures) (map[string]int, error) {
	times := map[string]int{}
	err := s.simulator.Journal(ctx, 0, func(record harness.Record) {
		if times[record.MessageID]++; times[record.MessageID] > 1 {
			found.duplicated++
		} else if told, known := c.told[record.MessageID]; known {
			found.slowest = max(found.slowest, record.ReceivedAt.Sub(told))
		}
		after := record.ReceivedAt.Sub(s.restored)
		if !s.restored.IsZero() && after > 0 && (found.resumed == 0 || after < found.resumed) {
			found.resumed = after
		}
	})
	return times, err
}

type row struct {
	outcome mail.Outcome
	waiting bool
}

// stored returns the messages in the database.
func (s *stage) stored(ctx context.Context) (map[string]row, error) {
	rows, err := s.database.Pool().Query(ctx, `
		SELECT e.id::text, e.outcome, EXISTS (SELECT 1 FROM sends s WHERE s.email_id = e.id) FROM emails e`)
	if err != nil {
		return nil, fmt.Errorf("read the messages: %w", err)
	}
	defer rows.Close()
	found := map[string]row{}
	for rows.Next() {
		var id string
		var outcome int16
		var message row
		if err := rows.Scan(&id, &outcome, &message.waiting); err != nil {
			return nil, fmt.Errorf("read a message: %w", err)
		}
		message.outcome = mail.Outcome(outcome)
		found[id] = message
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the messages: %w", err)
	}
	return found, nil
}
