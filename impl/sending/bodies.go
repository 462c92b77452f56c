package sending

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/sending/results"
)

const (
	// bodyTimeout bounds reading one body.
	bodyTimeout = 10 * time.Second
	// minAttemptTime is the time that an attempt may need. With less left of its lease none is begun, since it would be
	// cut off after SES may have taken the message.
	minAttemptTime = 20 * time.Second
)

// body is the content of a message. Nil stands for one that has not been read.
type body struct{ html, text string }

// holdBodies takes the claimed messages that are to be sent into the budget, and reads the small bodies at once. What
// cannot be read now is read with its attempt, as large bodies are.
func (s *Sender) holdBodies(ctx context.Context, group []message) {
	var wanted db.SendBodiesParams
	index := make(map[uuid.UUID]*message, len(group))
	for i := range group {
		m := &group[i]
		if m.skip != nil {
			continue
		}
		s.bodies.take(m.send.BodyBytes)
		m.held = true
		if m.send.BodyBytes > largeBody {
			continue
		}
		index[m.send.EmailID] = m
		wanted.EmailIds = append(wanted.EmailIds, m.send.EmailID)
		wanted.OrganizationIds = append(wanted.OrganizationIds, m.send.OrganizationID)
	}
	if len(index) == 0 {
		return
	}
	rows, err := s.config.Store.Queries().SendBodies(ctx, wanted)
	if err != nil {
		s.config.Log.WarnContext(ctx, "the bodies of claimed messages could not be read together", "messages", len(index), "error", err)
		return
	}
	for _, row := range rows {
		index[row.EmailID].body = &body{row.HTML, row.Text}
		delete(index, row.EmailID)
	}
	for _, m := range index {
		m.skip = contentExpired(s.config.Now())
	}
}

// readBody reads the body of a message that has none yet. It returns the result of an attempt that ends without one.
func (s *Sender) readBody(ctx context.Context, m *message) *results.Result {
	if m.body != nil {
		return nil
	}
	reading, cancel := context.WithTimeout(ctx, bodyTimeout)
	defer cancel()
	rows, err := s.config.Store.Queries().SendBodies(reading, db.SendBodiesParams{
		EmailIds: []uuid.UUID{m.send.EmailID}, OrganizationIds: []uuid.UUID{m.send.OrganizationID},
	})
	switch {
	case err != nil:
		if s.attemptLogs.Allow("body", s.config.Now()) {
			s.config.Log.WarnContext(ctx, "the body of a message could not be read", "message_id", m.send.EmailID, "error", fmt.Errorf("read a body: %w", err))
		}
		result := s.retryUnknown(ctx, m.send.Attempt, false)
		return &result
	case len(rows) == 0:
		return contentExpired(s.config.Now())
	}
	m.body = &body{rows[0].HTML, rows[0].Text}
	return nil
}

// releaseBody drops the body of a message, whose attempt has ended.
func (s *Sender) releaseBody(m *message) {
	m.body = nil
	if m.held && s.bodies.release(m.send.BodyBytes) {
		s.queue.Wake()
	}
	m.held = false
}

// tooLate reports whether the lease of a message ends before an attempt that is begun now may have ended.
func tooLate(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return bounded && time.Until(deadline) < minAttemptTime
}
