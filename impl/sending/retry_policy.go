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
	// SES counts its rate by the second, so a pause beyond one gains nothing.
	minThrottleCooldown = 100 * time.Millisecond
	maxThrottleCooldown = time.Second
	// An account is unblocked by people, or by the next hour of its daily quota.
	minAccountCooldown = 5 * time.Second
	maxAccountCooldown = time.Minute

	// MaxMessageAge is how long after acceptance a message may still be sent.
	MaxMessageAge = 72 * time.Hour
	// SES's rate comes back within a second, and all waiting messages share it.
	minThrottledWait, maxThrottledWait = time.Second, 30 * time.Second
	// An account that may not send, or a domain that SES does not know yet, is fixed by people or DNS.
	minHeldWait, maxHeldWait = 30 * time.Second, 5 * time.Minute
	// Resuming an organization makes its messages due at once, so these waits can be long.
	minSuspendedWait, maxSuspendedWait = time.Minute, 5 * time.Minute
	// The pause of a domain lasts for hours or days, and resuming makes its messages due at once, too.
	maxDomainPausedWait = time.Hour
)

// disposition is what an attempt does with the due row of its message.
type disposition int

const (
	// retry means that the message comes due again.
	retry disposition = iota
	// sent means that SES accepted the message.
	sent
	// failed means that the message failed for good.
	failed
	// superseded means that nothing is left to do, and that there is no event to store.
	superseded
)

// attemptResult is the result of one attempt.
type attemptResult struct {
	disposition disposition
	at          time.Time
	// providerMessageID is SES's id of a sent message.
	providerMessageID string
	// code and reason say why the message failed: code for programs, reason for people.
	code, reason string
	dueAt        time.Time
	// ambiguous means that SES may have accepted the message.
	ambiguous bool
	// awaitsEvent means that the next attempt waits for an event of SES to arrive first.
	awaitsEvent   bool
	recheckDomain bool
}

// classify turns the response of SES into a result.
func (s *Sender) classify(ctx context.Context, send db.SendClaimRow, providerMessageID string, err error) attemptResult {
	now := s.config.Now()
	if err == nil {
		s.throttleCooldown.Succeeded(now)
		s.accountCooldown.Succeeded(now)
		s.rejections.accepted()
		s.pausedTenants.accepted()
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
		if s.throttleCooldown.Start(now) {
			s.cutRate(ctx)
		}
		return *s.retryIn(backoff.Exponential(minThrottledWait, maxThrottledWait, send.Attempt, s.config.Random()))
	case ses.QuotaExceeded, ses.Paused, ses.Misconfigured, ses.NotFound:
		s.accountCooldown.Start(now)
		return *s.retryIn(backoff.Exponential(minHeldWait, maxHeldWait, send.Attempt, s.config.Random()))
	case ses.Rejected:
		if s.rejections.rejectedFor(send.OrganizationID, now) {
			if s.operatorLogs.Allow("rejections", now) {
				s.config.Log.ErrorContext(ctx, "SES rejects the mail of several organizations: sending pauses, and no message fails",
					slog.Int("organizations", maxRejectedOrganizations))
			}
			s.accountCooldown.Start(now)
			return *s.retryIn(backoff.Exponential(minHeldWait, maxHeldWait, send.Attempt, s.config.Random()))
		}
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

// retryUnknown returns the result of an attempt that failed for an unclear reason. When SES may have accepted the
// message and its events arrive, the retry waits at least AmbiguousRetryDelay.
func (s *Sender) retryUnknown(ctx context.Context, attempt int32, ambiguous bool) attemptResult {
	wait := backoff.After(attempt, s.config.Random())
	awaitsEvent := ambiguous && s.eventFlow.Expected(ctx, s.config.Now())
	if awaitsEvent {
		wait = max(wait, AmbiguousRetryDelay)
	}
	waiting := s.retryIn(wait)
	waiting.ambiguous, waiting.awaitsEvent = ambiguous, awaitsEvent
	return *waiting
}

func failPermanently(now time.Time, code, reason string) *attemptResult {
	return &attemptResult{disposition: failed, at: now, code: code, reason: reason}
}

// logLevel returns Error for what an operator must fix, Info for a rejected message, and Warn for what resolves
// itself.
func logLevel(class ses.Class) slog.Level {
	switch class {
	case ses.QuotaExceeded, ses.Paused, ses.Misconfigured, ses.NotFound:
		return slog.LevelError
	case ses.Rejected:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// awsRequestIDs returns what AWS needs to find a failure. The rest of an error can name addresses and is not logged.
func awsRequestIDs(err error) (code, requestID string) {
	var failure *ses.Error
	if errors.As(err, &failure) {
		return failure.Code, failure.RequestID
	}
	return "", ""
}

// customerText returns the reason of a refusal for people.
func customerText(err error) string {
	var failure *ses.Error
	if errors.As(err, &failure) && failure.Detail != "" {
		return ses.StorableText(failure.Detail)
	}
	return "The email service refused the message."
}
