package sending

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/sending/breaker"
	"github.com/voostack/mailstack/impl/sending/eventflow"
	"github.com/voostack/mailstack/impl/sending/results"
	"github.com/voostack/mailstack/impl/sending/sendlimit"
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

// classify turns the response of SES into a result.
func (s *Sender) classify(ctx context.Context, send db.SendClaimRow, providerMessageID string, err error) results.Result {
	now := s.config.Now()
	if err == nil {
		s.throttleCooldown.Succeeded(now)
		s.accountCooldown.Succeeded(now)
		s.rejections.Accepted()
		s.pausedTenants.Accepted()
		return results.Result{Disposition: results.Sent, At: now, ProviderMessageID: ses.StorableText(providerMessageID)}
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
		if s.rejections.RejectedFor(send.OrganizationID, now) {
			if s.operatorLogs.Allow("rejections", now) {
				s.config.Log.ErrorContext(ctx, "SES rejects the mail of several organizations: sending pauses, and no message fails",
					slog.Int("organizations", breaker.MaxOrganizations))
			}
			s.accountCooldown.Start(now)
			return *s.retryIn(backoff.Exponential(minHeldWait, maxHeldWait, send.Attempt, s.config.Random()))
		}
		return *failPermanently(now, "rejected", customerText(err))
	case ses.DomainNotReady:
		held := s.retryIn(backoff.Exponential(minHeldWait, maxHeldWait, send.Attempt, s.config.Random()))
		held.RecheckDomain = true
		return *held
	case ses.Unreachable:
		return s.retryUnknown(ctx, send.Attempt, false)
	default:
		return s.retryUnknown(ctx, send.Attempt, true)
	}
}

// cutRate cuts the rate of all workers, because SES throttles below the quota that it reported.
func (s *Sender) cutRate(ctx context.Context) {
	slowed, err := s.limiter.CutRate(ctx, s.config.Now())
	if err != nil {
		s.config.Log.WarnContext(ctx, "the sending rate could not be cut", "error", err)
		return
	}
	if slowed && s.attemptLogs.Allow("rate cut", s.config.Now()) {
		s.config.Log.WarnContext(ctx, "SES throttles: the sending rate was cut and recovers gradually",
			slog.Float64("cut_to", sendlimit.DecreaseFactor))
	}
}

func (s *Sender) retryIn(wait time.Duration) *results.Result {
	return &results.Result{Disposition: results.Retry, DueAt: s.config.Now().Add(wait)}
}

// retryUnknown returns the result of an attempt that failed for an unclear reason. When SES may have accepted the
// message and its events arrive, the retry waits at least eventflow.AmbiguousRetryDelay.
func (s *Sender) retryUnknown(ctx context.Context, attempt int32, ambiguous bool) results.Result {
	wait := backoff.After(attempt, s.config.Random())
	awaitsEvent := ambiguous && s.eventFlow.Expected(ctx, s.config.Now())
	if awaitsEvent {
		wait = max(wait, eventflow.AmbiguousRetryDelay)
	}
	waiting := s.retryIn(wait)
	waiting.Ambiguous, waiting.AwaitsEvent = ambiguous, awaitsEvent
	return *waiting
}

func failPermanently(now time.Time, code, reason string) *results.Result {
	return &results.Result{Disposition: results.Failed, At: now, Code: code, Reason: reason}
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
