// Package tracing follows a message from the request that brought it to the call of SES that took it, as one trace of
// OpenTelemetry. It is the only room that knows the library; the others declare what they tell.
//
//   - tracing.go: Open, the spans
//   - export.go: where spans go: an OTLP receiver, as the standard environment variables have it
//
// The trace of a request ends with its answer, and the message is sent later, by another process perhaps: the span of the
// request is stored with the due row, as a traceparent (W3C Trace Context), and the span of the sending is its child.
// A span names an operation or the id of a message; never an address.
package tracing

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	scope             = "github.com/voostack/mailstack"
	traceparentHeader = "traceparent"
	// maxLinks bounds how many requests the span of a group is linked to.
	maxLinks = 128
)

// Tracer makes spans. It is safe for concurrent use.
type Tracer struct {
	tracer      trace.Tracer
	propagation propagation.TraceContext
}

// New returns a Tracer whose spans the provider takes.
func New(provider trace.TracerProvider) *Tracer { return &Tracer{tracer: provider.Tracer(scope)} }

// Request begins the span of a request to an operation, which continues the trace that its header names. The returned
// function ends it with the status of the answer.
func (t *Tracer) Request(ctx context.Context, header http.Header, operation string) (context.Context, func(status int)) {
	ctx = t.propagation.Extract(ctx, propagation.HeaderCarrier(header))
	ctx, span := t.tracer.Start(ctx, operation, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(status int) {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
		span.End()
	}
}

// Accept begins the span of an accepting transaction: it is a child of the first request, and linked to all of them.
func (t *Tracer) Accept(ctx context.Context, requests []context.Context) (context.Context, func(err error)) {
	links := make([]trace.Link, 0, min(len(requests), maxLinks))
	for _, request := range requests[:min(len(requests), maxLinks)] {
		links = append(links, trace.LinkFromContext(request))
	}
	ctx, span := t.tracer.Start(ctx, "accept", trace.WithLinks(links...), trace.WithAttributes(attribute.Int("mailstack.requests", len(requests))))
	return ctx, ending(span)
}

// Parent is what the sending of a message that the request brought continues: a traceparent, empty where there is no
// trace or none that is kept.
func (t *Tracer) Parent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	t.propagation.Inject(ctx, carrier)
	return carrier[traceparentHeader]
}

// Send begins the span of an attempt to send a message. Without a parent nothing is traced: nobody asked for it when the
// message was accepted.
func (t *Tracer) Send(ctx context.Context, parent string, message uuid.UUID, attempt int32) (context.Context, func(err error)) {
	if parent == "" {
		return ctx, func(error) {}
	}
	ctx = t.propagation.Extract(ctx, propagation.MapCarrier{traceparentHeader: parent})
	ctx, span := t.tracer.Start(ctx, "send", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("mailstack.message_id", message.String()), attribute.Int("mailstack.attempt", int(attempt))))
	return ctx, ending(span)
}

// ending ends a span. What went wrong is for the log: an error may name an address.
func ending(span trace.Span) func(err error) {
	return func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "failed")
		}
		span.End()
	}
}
