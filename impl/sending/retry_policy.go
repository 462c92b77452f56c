package sending

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/ses"
)

const (
	// maxMessageAge is how long after acceptance a message may still be sent.
	maxMessageAge = 72 * time.Hour
	// SES's rate comes back within a second, and is shared by all that wait.
	minThrottledWait, maxThrottledWait = time.Second, 30 * time.Second
	// An account that may not send, or a domain that SES does not know yet, takes people or DNS to mend.
	minHeldWait, maxHeldWait = 30 * time.Second, 5 * time.Minute
	// Resuming an organization makes its messages due at once, so nothing hurries.
	minSuspendedWait, maxSuspendedWait = time.Minute, 5 * time.Minute
)

// disposition is what is done with the row of a message.
type disposition int

const (
	// retry: it comes due again.
	retry disposition = iota
	// mailSent: SES took the message.
	sent
	// failed: it failed for good.
	failed
	// superseded: there is nothing left to do and nothing to tell.
	superseded
)

// result is what came of one attempt.
type attemptResult struct {
	disposition disposition
	at          time.Time
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

// classify turns SES's answer into an outcome.
func (s *Sender) classify(ctx context.Context, send db.SendClaimRow, providerMessageID string, err error) attemptResult {
	now := s.config.Now()
	if err == nil {
		s.throttleCooldown.succeeded(now)
		s.accountCooldown.succeeded(now)
		return attemptResult{disposition: sent, at: now, providerMessageID: ses.StorableText(providerMessageID)}
	}
	class := ses.ClassOf(err)
	if s.attemptLogs.Allow(string(class), now) {
		code, requestID := awsRequestIDs(err)
		s.config.Log.LogAttrs(ctx, logLevel(class), "SES did not take a message",
			slog.String("class", string(class)), slog.String("code", code), slog.String("aws_request_id", requestID),
			slog.String("message_id", send.EmailID.String()), slog.Int("attempt", int(send.Attempt)))
	}
	switch class {
	case ses.Throttled:
		if s.throttleCooldown.start(now) {
			s.cutRate(ctx)
		}
		return *s.retryIn(backoff.Exponential(minThrottledWait, maxThrottledWait, send.Attempt, s.config.Random()))
	case ses.QuotaExceeded, ses.Paused, ses.Misconfigured, ses.NotFound:
		s.accountCooldown.start(now)
		return *s.retryIn(backoff.Exponential(minHeldWait, maxHeldWait, send.Attempt, s.config.Random()))
	case ses.Rejected:
		return *failPermanently(now, "rejected", customerText(err))
	case ses.DomainNotReady:
		held := s.retryIn(backoff.Exponential(minHeldWait, maxHeldWait, send.Attempt, s.config.Random()))
		held.recheckDomain = true
		return *held
	case ses.Unreachable:
		return s.retryUnknown(ctx, send.Attempt, false)
	default:
		return s.retryUnknown(ctx, send.Attempt, true)
	}
}

func (s *Sender) retryIn(wait time.Duration) *attemptResult {
	return &attemptResult{disposition: retry, dueAt: s.config.Now().Add(wait)}
}

// retryUnknown is the outcome of an attempt that failed for no reason that we know how to mend. Where SES may have taken the
// message, and tells what it takes, it is given the time to do so.
func (s *Sender) retryUnknown(ctx context.Context, attempt int32, ambiguous bool) attemptResult {
	wait := backoff.After(attempt, s.config.Random())
	awaitsEvent := ambiguous && s.eventsFlowing(ctx, s.config.Now())
	if awaitsEvent {
		wait = max(wait, ambiguousRetryDelay)
	}
	waiting := s.retryIn(wait)
	waiting.ambiguous, waiting.awaitsEvent = ambiguous, awaitsEvent
	return *waiting
}

func failPermanently(now time.Time, code, reason string) *attemptResult {
	return &attemptResult{disposition: failed, at: now, code: code, reason: reason}
}

// logLevel tells what an operator must mend from what mends itself.
func logLevel(class ses.Class) slog.Level {
	switch class {
	case ses.QuotaExceeded, ses.Paused, ses.Misconfigured, ses.NotFound:
		return slog.LevelError
	case ses.Rejected:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// awsRequestIDs is what AWS needs to find a failure again. The rest of an error can name addresses and is not logged.
func awsRequestIDs(err error) (code, requestID string) {
	var failure *ses.Error
	if errors.As(err, &failure) {
		return failure.Code, failure.RequestID
	}
	return "", ""
}

// customerText is what people are told about a refusal.
func customerText(err error) string {
	var failure *ses.Error
	if errors.As(err, &failure) && failure.Detail != "" {
		return ses.StorableText(failure.Detail)
	}
	return "The email service refused the message."
}
