package sending

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Observer is told what was done. Its functions are called concurrently and must be quick.
type Observer interface {
	// Settled is told what became of a message that was due, once it is stored: sent, failed, postponed or finished (by
	// others); why it failed; and whether nobody knows if SES took it.
	Settled(outcome, reason string, ambiguous bool)
	// Sent is told how long after its acceptance SES took a message.
	Sent(latency time.Duration)
}

// Tracer follows messages.
type Tracer interface {
	// Send begins the span of an attempt to send a message, which continues its traceparent; the function that it returns
	// ends it.
	Send(ctx context.Context, traceparent string, message uuid.UUID, attempt int32) (context.Context, func(err error))
}

// names of the kinds of outcome.
func (k disposition) String() string {
	return [...]string{retry: "postponed", sent: "sent", failed: "failed", superseded: "finished"}[k]
}

// observe tells of an outcome that was just stored. The id of a message has the time of its acceptance.
func (s *Sender) observe(one *settlement) {
	if s.config.Observer == nil {
		return
	}
	s.config.Observer.Settled(one.result.disposition.String(), one.result.code, one.result.ambiguous)
	if one.result.disposition == sent {
		s.config.Observer.Sent(one.result.at.Sub(time.Unix(one.send.EmailID.Time().UnixTime())))
	}
}
