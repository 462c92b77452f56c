package domain

import (
	"fmt"
	"time"

	"github.com/voostack/mailstack/gen/db"
)

// The states of a domain.
const (
	StatusPending  = "Pending"
	StatusVerified = "Verified"
	StatusFailed   = "Failed"
)

const (
	// verificationWindow is how long a domain may stay Pending.
	verificationWindow = 72 * time.Hour
	// gracePeriod is how long a verified domain stays verified without its records.
	gracePeriod = 24 * time.Hour
	// parkedPause is how long the mail of a domain waits at least after SES refused it, and how often such a domain is
	// checked.
	parkedPause = 10 * time.Minute
	// farFuture stands for never: nothing is kept that long.
	farFuture = 10 * 365 * 24 * time.Hour
)

// state is the part of a domain that checks decide.
type state struct {
	Status       string
	OwnedAt      *time.Time
	PendingSince time.Time
	VerifiedAt   *time.Time
	FailingSince *time.Time
	// Parked reports whether mail waits because SES refused it.
	Parked bool
}

// checkResult is the result of a check.
type checkResult struct {
	At time.Time
	// Ownership is the status of the ownership record.
	Ownership string
	// Required counts the required records. Mismatched of them do not resolve to their value; the lookup of Unknown
	// of them failed.
	Required, Mismatched, Unknown int
	// DKIMPending reports whether there are no DKIM records yet.
	DKIMPending bool
	// Ready reports whether SES can send for the domain. SES is asked only when the records are complete.
	Ready bool
}

func stateOf(d db.Domain) state {
	return state{
		Status: d.Status, OwnedAt: d.OwnedAt, PendingSince: d.PendingSince, VerifiedAt: d.VerifiedAt, FailingSince: d.FailingSince,
		Parked: d.ParkedAt != nil,
	}
}

func summarize(records []Record, at time.Time) checkResult {
	f := checkResult{At: at, DKIMPending: true}
	for _, r := range records {
		switch r.Purpose {
		case PurposeOwnership:
			f.Ownership = r.Status
		case PurposeDKIM:
			f.DKIMPending = false
		}
		if !r.Required {
			continue
		}
		f.Required++
		switch r.Status {
		case RecordVerified:
		case RecordUnknown:
			f.Unknown++
		default:
			f.Mismatched++
		}
	}
	return f
}

// complete reports whether every required record resolves to its value.
func (f checkResult) complete() bool { return !f.DKIMPending && f.Mismatched == 0 && f.Unknown == 0 }

// verified reports whether the check proves the domain.
func (f checkResult) verified() bool { return f.complete() && f.Ready }

// inconclusive reports whether no required record is wrong and at least one lookup failed.
func (f checkResult) inconclusive() bool { return !f.DKIMPending && f.Mismatched == 0 && f.Unknown > 0 }

// ownershipLost reports whether the DNS answered that the ownership record is missing or another one.
func (f checkResult) ownershipLost() bool {
	return f.Ownership == RecordMissing || f.Ownership == RecordMismatch
}

// restarted gives a failed domain another 72 hours.
func (s state) restarted(at time.Time) state {
	s.Status, s.PendingSince = StatusPending, at
	return s
}

// next returns the state after a check. A failed domain stays failed until it is restarted.
func (s state) next(f checkResult) state {
	if s.OwnedAt == nil && f.Ownership == RecordVerified {
		s.OwnedAt = &f.At
	}
	switch s.Status {
	case StatusPending:
		return s.fromPending(f)
	case StatusVerified:
		return s.fromVerified(f)
	}
	return s
}

func (s state) fromPending(f checkResult) state {
	switch {
	case f.verified():
		s.Status, s.VerifiedAt, s.FailingSince = StatusVerified, &f.At, nil
	case !f.At.Before(s.PendingSince.Add(verificationWindow)):
		s.Status = StatusFailed
		if f.ownershipLost() {
			s.OwnedAt = nil
		}
	}
	return s
}

// fromVerified does not count failed lookups against the domain: a DNS outage must not stop an organization's mail.
func (s state) fromVerified(f checkResult) state {
	switch {
	case f.verified():
		s.FailingSince = nil
	case f.inconclusive():
	case s.FailingSince == nil:
		s.FailingSince = &f.At
	case !f.At.Before(s.FailingSince.Add(gracePeriod)):
		s.Status, s.PendingSince, s.FailingSince = StatusPending, f.At, nil
		if f.ownershipLost() {
			s.OwnedAt = nil
		}
	}
	return s
}

// nextCheck returns when to check next. A failed domain is checked only on request.
func (s state) nextCheck(at time.Time) time.Time {
	switch s.Status {
	case StatusPending:
		return at.Add(pendingPause(at.Sub(s.PendingSince)))
	case StatusVerified:
		if s.Parked {
			return at.Add(parkedPause)
		}
		if s.FailingSince == nil {
			return at.Add(6 * time.Hour)
		}
		if at.Sub(*s.FailingSince) < time.Hour {
			return at.Add(5 * time.Minute)
		}
		return at.Add(30 * time.Minute)
	}
	return at.Add(farFuture)
}

func pendingPause(age time.Duration) time.Duration {
	switch {
	case age < time.Hour:
		return time.Minute
	case age < 6*time.Hour:
		return 5 * time.Minute
	}
	return 30 * time.Minute
}

// reason tells people what keeps the domain from being Verified, or threatens that status. Nil means nothing does.
func (s state) reason(f checkResult) *string {
	var text string
	switch {
	case s.Status == StatusFailed:
		text = "The required records did not all resolve to their values within 72 hours. Verify the domain to start over."
	case f.verified():
		return nil
	case s.Status == StatusVerified && s.FailingSince != nil:
		text = f.blockingReason() + " Without a change the domain falls back to Pending at " +
			s.FailingSince.Add(gracePeriod).UTC().Format(time.RFC3339) + "."
	default:
		text = f.blockingReason()
	}
	return &text
}

func (f checkResult) blockingReason() string {
	switch {
	case f.DKIMPending && f.Ownership != RecordVerified:
		return "The ownership record has not been seen; the DKIM records appear once it has."
	case f.Mismatched > 0:
		return fmt.Sprintf("%d of %d required records do not resolve to their value.", f.Mismatched, f.Required)
	case f.Unknown > 0:
		return fmt.Sprintf("The DNS gave no answer for %d of %d required records.", f.Unknown, f.Required)
	}
	return "All required records are in place; Amazon SES has yet to confirm them."
}
