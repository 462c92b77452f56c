package sending

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/voostack/mailstack/impl/sending/results"
)

// Observer receives what metrics need. Its functions are called concurrently and must be quick.
type Observer interface {
	// Settled is called when the result of an attempt is stored. The outcome is sent, failed, postponed or
	// finished (by another attempt or event); reason is the code of a failure; ambiguous means that SES may have
	// accepted the message.
	Settled(outcome, reason string, ambiguous bool)
	// Claimed is called with the time that a claim took, whether or not it found messages.
	Claimed(took time.Duration)
	// Sent is called with the time from our acceptance of a message to its acceptance by SES.
	Sent(latency time.Duration)
}

// Tracer follows messages.
type Tracer interface {
	// Send begins the span of an attempt to send a message, as a continuation of its traceparent. The returned
	// function ends the span.
	Send(ctx context.Context, traceparent string, message uuid.UUID, attempt int32) (context.Context, func(err error))
}

// observe passes a result that was just stored to the observer. The id of a message holds the time of its
// acceptance.
func (s *Sender) observe(one *results.Settlement) {
	if s.config.Observer == nil {
		return
	}
	s.config.Observer.Settled(one.Result.Disposition.String(), one.Result.Code, one.Result.Ambiguous)
	if one.Result.Disposition == results.Sent {
		s.config.Observer.Sent(one.Result.At.Sub(time.Unix(one.Send.EmailID.Time().UnixTime())))
	}
}
