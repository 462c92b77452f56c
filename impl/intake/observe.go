package intake

import (
	"context"
	"time"
)

// Observer is told what acceptance takes. Its functions are called concurrently and must be quick.
type Observer interface {
	// GroupSize is told of every transaction: how many messages were in it and how long it took.
	Group(messages int, took time.Duration)
	// Accepted is told of every request how long it was in acceptance, waiting included.
	Accepted(took time.Duration)
}

// Tracer follows requests.
type Tracer interface {
	// Accept begins the span of a transaction that the requests of these contexts share; the function that it returns ends
	// it.
	Accept(ctx context.Context, requests []context.Context) (context.Context, func(err error))
	// Parent is the traceparent that the sending of the messages of a request continues; empty: it is not traced.
	Parent(ctx context.Context) string
}

// shareLeaderResponse begins to watch a request. What it returns ends that.
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

// runObserved makes an attempt under the eyes of those who want to know.
func (intake *Intake) runObserved(ctx context.Context, lane *commitQueue, group []*submission) error {
	ended := func(error) {}
	if intake.config.Tracer != nil {
		requests := make([]context.Context, len(group))
		for i, submitted := range group {
			requests[i] = submitted.ctx
		}
		ctx, ended = intake.config.Tracer.Accept(ctx, requests)
	}
	began := time.Now()
	err := intake.runTransaction(ctx, lane, group)
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
