package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
)

const (
	// lifetime is how long after acceptance a message may still be sent.
	lifetime = 72 * time.Hour
	// SES's rate comes back within a second, and is shared by all that wait.
	throttledFirst, throttledLongest = time.Second, 30 * time.Second
	// An account that may not send, or a domain that SES does not know yet, takes people or DNS to mend.
	heldFirst, heldLongest = 30 * time.Second, 5 * time.Minute
	// Resuming an organization makes its messages due at once, so nothing hurries.
	suspendedFirst, suspendedLongest = time.Minute, 5 * time.Minute
	// maxReason bounds what is stored of a refusal, in bytes.
	maxReason = 600
)

// kind is what is done with the row of a message.
type kind int

const (
	// postponed: it comes due again.
	postponed kind = iota
	// sent: SES took the message.
	sent
	// gaveUp: it failed for good.
	gaveUp
	// finished: there is nothing left to do and nothing to tell.
	finished
)

// outcome is what came of one attempt.
type outcome struct {
	kind kind
	at   time.Time
	// providerMessageID is SES's id of a sent message.
	providerMessageID string
	// code and reason say why we gave up: to programs, and to people.
	code, reason string
	dueAt        time.Time
	// ambiguous: nobody knows whether SES took the message.
	ambiguous bool
	// awaitsEvent: SES is given the time to tell.
	awaitsEvent   bool
	recheckDomain bool
}

// before looks again at what acceptance checked, as it may have changed since. It returns nil when the message is to be
// sent.
func (d *Dispatcher) before(ctx context.Context, m *message) *outcome {
	now := d.config.Now()
	if m.loaded == nil {
		d.config.Log.WarnContext(ctx, "a due message is gone", "message_id", m.send.EmailID)
		return &outcome{kind: finished}
	}
	switch row := m.loaded; {
	case row.Email.Outcome > int16(mail.OutcomeGaveUp):
		// An attempt without an answer had reached SES after all: an event said so.
		return &outcome{kind: finished}
	case now.Sub(row.Email.QueuedAt) >= lifetime:
		return giveUp(now, "expired", "The message could not be sent within 72 hours.")
	case row.OrganizationSuspended:
		return d.waitFor(backoff.Exponential(suspendedFirst, suspendedLongest, m.send.Attempt, d.config.Random()))
	case !row.DomainVerified:
		return giveUp(now, "domain-not-verified", "The sending domain was deleted or is no longer verified.")
	case slices.ContainsFunc(m.recipients, func(r db.SendRecipientsRow) bool { return r.Suppressed }):
		return giveUp(now, "recipient-suppressed", "Recipient is suppressed.")
	case !row.HasContent:
		return giveUp(now, "content-expired", "The content of the message is no longer kept.")
	}
	return nil
}

// after turns SES's answer into an outcome.
func (d *Dispatcher) after(ctx context.Context, send db.SendClaimRow, providerMessageID string, err error) outcome {
	now := d.config.Now()
	if err == nil {
		d.throttle.release(now)
		d.blocked.release(now)
		return outcome{kind: sent, at: now, providerMessageID: clean(providerMessageID)}
	}
	class := ses.ClassOf(err)
	if d.loud.allows(string(class), now) {
		code, requestID := traceOf(err)
		d.config.Log.LogAttrs(ctx, severity(class), "SES did not take a message",
			slog.String("class", string(class)), slog.String("code", code), slog.String("aws_request_id", requestID),
			slog.String("message_id", send.EmailID.String()), slog.Int("attempt", int(send.Attempt)))
	}
	switch class {
	case ses.Throttled:
		if d.throttle.engage(now) {
			d.slowDown(ctx)
		}
		return *d.waitFor(backoff.Exponential(throttledFirst, throttledLongest, send.Attempt, d.config.Random()))
	case ses.QuotaExceeded, ses.Paused, ses.Misconfigured, ses.NotFound:
		d.blocked.engage(now)
		return *d.waitFor(backoff.Exponential(heldFirst, heldLongest, send.Attempt, d.config.Random()))
	case ses.Rejected:
		return *giveUp(now, "rejected", detailOf(err))
	case ses.DomainNotReady:
		held := d.waitFor(backoff.Exponential(heldFirst, heldLongest, send.Attempt, d.config.Random()))
		held.recheckDomain = true
		return *held
	case ses.Unreachable:
		return d.unclear(ctx, send.Attempt, false)
	default:
		return d.unclear(ctx, send.Attempt, true)
	}
}

func (d *Dispatcher) waitFor(wait time.Duration) *outcome {
	return &outcome{kind: postponed, dueAt: d.config.Now().Add(wait)}
}

// unclear is the outcome of an attempt that failed for no reason that we know how to mend. Where SES may have taken the
// message, and tells what it takes, it is given the time to do so.
func (d *Dispatcher) unclear(ctx context.Context, attempt int32, ambiguous bool) outcome {
	wait := backoff.After(attempt, d.config.Random())
	awaitsEvent := ambiguous && d.eventsArrive(ctx, d.config.Now())
	if awaitsEvent {
		wait = max(wait, eventWait)
	}
	waiting := d.waitFor(wait)
	waiting.ambiguous, waiting.awaitsEvent = ambiguous, awaitsEvent
	return *waiting
}

func giveUp(now time.Time, code, reason string) *outcome {
	return &outcome{kind: gaveUp, at: now, code: code, reason: reason}
}

// severity tells what an operator must mend from what mends itself.
func severity(class ses.Class) slog.Level {
	switch class {
	case ses.QuotaExceeded, ses.Paused, ses.Misconfigured, ses.NotFound:
		return slog.LevelError
	case ses.Rejected:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// traceOf is what AWS needs to find a failure again. The rest of an error can name addresses and is not logged.
func traceOf(err error) (code, requestID string) {
	var failure *ses.Error
	if errors.As(err, &failure) {
		return failure.Code, failure.RequestID
	}
	return "", ""
}

// detailOf is what people are told about a refusal.
func detailOf(err error) string {
	var failure *ses.Error
	if errors.As(err, &failure) && failure.Detail != "" {
		return clean(failure.Detail)
	}
	return "The email service refused the message."
}

// clean makes text from outside storable: a single row that Postgres refuses would hold up its whole group.
func clean(text string) string {
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
}
