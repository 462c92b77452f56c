package intake

import (
	"context"
	"time"
)

// Observer receives what metrics need. Its functions are called concurrently and must be quick.
type Observer interface {
	// Group is called after each transaction with its number of messages and how long it took.
	Group(messages int, took time.Duration)
	// Accepted is called after each request with the time that it spent in acceptance, waiting included.
	Accepted(took time.Duration)
}

// Tracer traces requests.
type Tracer interface {
	// Accept begins the span of a transaction that the requests of these contexts share. The returned function
	// ends the span.
	Accept(ctx context.Context, requests []context.Context) (context.Context, func(err error))
	// Parent returns the traceparent that the sending of a request's messages continues. Empty means that it is
	// not traced.
	Parent(ctx context.Context) string
}

// startTrace sets the traceparent of a request and starts its timer. The returned function passes the time to the
// observer.
func (intake *Intake) startTrace(submitted *submission) func() {
	if intake.config.Tracer != nil {
		submitted.traceparent = intake.config.Tracer.Parent(submitted.ctx)
	}
	if intake.config.Observer == nil {
		return func() {}
	}
	began := time.Now()
	return func() { intake.config.Observer.Accepted(time.Since(began)) }
}

// runObserved runs the transaction of a group with tracer and observer.
func (intake *Intake) runObserved(ctx context.Context, queue *commitQueue, group []*submission) error {
	ended := func(error) {}
	if intake.config.Tracer != nil {
		requests := make([]context.Context, len(group))
		for i, submitted := range group {
			requests[i] = submitted.ctx
		}
		ctx, ended = intake.config.Tracer.Accept(ctx, requests)
	}
	began := time.Now()
	err := intake.runTransaction(ctx, queue, group)
	ended(err)
	if intake.config.Observer != nil {
		messages := 0
		for _, submitted := range group {
			messages += len(submitted.messages)
		}
		intake.config.Observer.Group(messages, time.Since(began))
	}
	return err
}
