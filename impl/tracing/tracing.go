// Package tracing follows a message from the API request to the SES call that took it, as one OpenTelemetry trace. It
// is the only package that knows the library; the others declare what they report.
//
//   - tracing.go: [Tracer] and its spans
//   - export.go: [Open], which sends spans to an OTLP receiver, set by the standard environment variables
//
// The span of a request ends with its response; the message is sent later, perhaps by another process. So the span of
// the request is stored with the due row, as a traceparent (W3C Trace Context), and the span of the sending is its
// child. A span names an operation or the id of a message; never an address.
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
	// maxLinks bounds the requests that the span of a group is linked to.
	maxLinks = 128
)

// Tracer makes spans. It is safe for concurrent use.
type Tracer struct {
	tracer      trace.Tracer
	propagation propagation.TraceContext
}

// New returns a Tracer that makes its spans with the provider.
func New(provider trace.TracerProvider) *Tracer { return &Tracer{tracer: provider.Tracer(scope)} }

// Request begins the span of a request to an operation, which continues the trace that its header names. The returned
// function ends the span with the status of the response.
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

// Accept begins the span of an accept transaction: a child of the first request, linked to the first 128 requests.
func (t *Tracer) Accept(ctx context.Context, requests []context.Context) (context.Context, func(err error)) {
	links := make([]trace.Link, 0, min(len(requests), maxLinks))
	for _, request := range requests[:min(len(requests), maxLinks)] {
		links = append(links, trace.LinkFromContext(request))
	}
	ctx, span := t.tracer.Start(ctx, "accept", trace.WithLinks(links...), trace.WithAttributes(attribute.Int("mailstack.requests", len(requests))))
	return ctx, ending(span)
}

// Parent returns the traceparent that [Tracer.Send] continues for a message of this request. It is empty without a
// trace and for a trace that is not sampled.
func (t *Tracer) Parent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	t.propagation.Inject(ctx, carrier)
	return carrier[traceparentHeader]
}

// Send begins the span of an attempt to send a message. Without a parent nothing is traced, since the acceptance of the
// message was not.
func (t *Tracer) Send(ctx context.Context, parent string, message uuid.UUID, attempt int32) (context.Context, func(err error)) {
	if parent == "" {
		return ctx, func(error) {}
	}
	ctx = t.propagation.Extract(ctx, propagation.MapCarrier{traceparentHeader: parent})
	ctx, span := t.tracer.Start(ctx, "send", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("mailstack.message_id", message.String()), attribute.Int("mailstack.attempt", int(attempt))))
	return ctx, ending(span)
}

// ending returns the function that ends a span. The text of an error is left to the log: it may name an address.
func ending(span trace.Span) func(err error) {
	return func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "failed")
		}
		span.End()
	}
}
