package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/voostack/mailstack/impl/mail"
)

// account compares the responses that the clients received with the database and with the simulator's journal.
func (s *stage) account(ctx context.Context, c *clients) (figures, error) {
	s.noteAnswers(ctx)
	found := figures{ambiguous: s.ambiguous, kills: s.kills, stops: s.stops, dropped: s.dropped}
	journal, err := s.simulator.Times(ctx)
	if err != nil {
		return found, err
	}
	for _, times := range journal {
		found.duplicated += times - 1
	}
	for i := range c.organizations {
		if err := s.accountOf(ctx, &c.organizations[i], c, journal, &found); err != nil {
			return found, err
		}
	}
	return found, nil
}

type row struct {
	outcome mail.Outcome
	waiting bool
}

func (s *stage) accountOf(ctx context.Context, one *organization, c *clients, journal map[string]int, found *figures) error {
	stored, emails, err := s.stored(ctx, one)
	if err != nil {
		return err
	}
	var used int64
	err = s.database.Pool().QueryRow(ctx,
		"SELECT coalesce(sum(emails_sent), 0)::bigint FROM usage_periods WHERE organization_id = $1", one.ID).Scan(&used)
	if err != nil {
		return fmt.Errorf("read the usage of an organization: %w", err)
	}
	told := c.told[one.ID]
	found.accepted += len(told)
	for id := range told {
		message, present := stored[id]
		switch {
		case journal[id] > 0 && present:
			found.sent++
		case !present, message.outcome != mail.OutcomeSendFailed && !message.waiting:
			found.lost++
			found.example("lost", id)
		}
	}
	for id, message := range stored {
		switch {
		case !told[id]:
			found.doubled++
			found.example("accepted beyond its answer", id)
		case message.waiting || message.outcome == mail.OutcomeQueued:
			found.stuck++
			found.example("stuck", id)
		case message.outcome == mail.OutcomeSendFailed:
			found.failed++
			found.example("failed", id)
		}
	}
	found.miscounted += max(used-emails, emails-used)
	if one.limit > 0 {
		found.overCap += max(0, emails-one.limit, used-one.limit)
		if c.refused[one.ID] > 0 && emails == one.limit {
			found.capped++
		}
	}
	return nil
}

// stored returns the messages of an organization in the database, and the number of emails that they count for.
func (s *stage) stored(ctx context.Context, one *organization) (found map[string]row, emails int64, err error) {
	rows, err := s.database.Pool().Query(ctx, `
		SELECT e.id::text, e.outcome, EXISTS (SELECT 1 FROM sends s WHERE s.email_id = e.id), r.count
		FROM emails e
		JOIN (SELECT email_id, count(*) FROM recipients WHERE organization_id = $1 GROUP BY email_id) r ON r.email_id = e.id
		WHERE e.organization_id = $1`, one.ID)
	if err != nil {
		return nil, 0, fmt.Errorf("read the messages of an organization: %w", err)
	}
	defer rows.Close()
	found = map[string]row{}
	for rows.Next() {
		var id string
		var message row
		var outcome int16
		var recipients int64
		if err := rows.Scan(&id, &outcome, &message.waiting, &recipients); err != nil {
			return nil, 0, fmt.Errorf("read a message of an organization: %w", err)
		}
		message.outcome = mail.Outcome(outcome)
		found[id] = message
		emails += recipients
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("read the messages of an organization: %w", err)
	}
	return found, emails, nil
}

// example keeps the first ten unexpected messages.
func (f *figures) example(kind, id string) {
	const enough = 10
	if len(f.examples) < enough {
		f.examples = append(f.examples, kind+" "+strconv.Quote(id))
	}
}
