package sending

import (
	"context"
	"slices"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/sending/results"
)

// preflight checks again what acceptance checked, as it may have changed since. It returns nil when the message is
// to be sent.
func (s *Sender) preflight(ctx context.Context, m *message) *results.Result {
	now := s.config.Now()
	if m.loaded == nil {
		s.config.Log.WarnContext(ctx, "a due message is missing", "message_id", m.send.EmailID)
		return &results.Result{Disposition: results.Superseded}
	}
	switch row := m.loaded; {
	case row.Email.Outcome > int16(mail.OutcomeSendFailed):
		// An event reported that SES accepted the message, in an attempt whose response was lost.
		return &results.Result{Disposition: results.Superseded}
	case now.Sub(row.Email.QueuedAt) >= MaxMessageAge:
		return failPermanently(now, "expired", "The message could not be sent within 72 hours.")
	case row.OrganizationSuspended:
		return s.retryIn(backoff.Exponential(minSuspendedWait, maxSuspendedWait, m.send.Attempt, s.config.Random()))
	case row.DomainPaused:
		return s.retryIn(backoff.Exponential(minSuspendedWait, maxDomainPausedWait, m.send.Attempt, s.config.Random()))
	case !row.DomainVerified:
		return failPermanently(now, "domain-not-verified", "The sending domain was deleted or is no longer verified.")
	case slices.ContainsFunc(m.recipients, func(r db.SendRecipientsRow) bool { return r.Suppressed }):
		return failPermanently(now, "recipient-suppressed", "Recipient is suppressed.")
	}
	return nil
}

func contentExpired(now time.Time) *results.Result {
	return failPermanently(now, "content-expired", "The content of the message is no longer kept.")
}
