package dispatch

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
	// EventStored is told how long after it happened an event of SES was stored.
	EventStored(lag time.Duration)
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
func (d *Dispatcher) observe(one *settlement) {
	if d.config.Observer == nil {
		return
	}
	d.config.Observer.Settled(one.result.disposition.String(), one.result.code, one.result.ambiguous)
	if one.result.disposition == sent {
		d.config.Observer.Sent(one.result.at.Sub(time.Unix(one.send.EmailID.Time().UnixTime())))
	}
}

// Dropped is how many events of SES led nowhere since the process began, by the reason.
func (d *Dispatcher) Dropped() map[string]int64 {
	return map[string]int64{
		"unreadable": d.discarded.unreadable.Load(), "foreign": d.discarded.foreign.Load(), "expired": d.discarded.expired.Load(),
	}
}
