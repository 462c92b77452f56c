package tracing_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/voostack/mailstack/impl/tracing"
)

func newTracer(t *testing.T, options ...sdktrace.TracerProviderOption) (*tracing.Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	return tracing.New(sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(kept))...)), kept
}

// TestGroupIsLinkedToItsRequests: a transaction belongs to the first of its requests, and is linked to all.
func TestGroupIsLinkedToItsRequests(t *testing.T) {
	t.Parallel()
	tracer, kept := newTracer(t)
	first, firstEnded := tracer.Request(t.Context(), http.Header{}, "sendEmail")
	second, secondEnded := tracer.Request(t.Context(), http.Header{}, "sendEmail")
	_, ended := tracer.Accept(first, []context.Context{first, second})
	ended(nil)
	firstEnded(http.StatusAccepted)
	secondEnded(http.StatusServiceUnavailable)
	spans := kept.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	accept, one, other := spans[0], spans[1], spans[2]
	if accept.Name != "accept" || accept.Parent.SpanID() != one.SpanContext.SpanID() || len(accept.Links) != 2 ||
		accept.Links[1].SpanContext.TraceID() != other.SpanContext.TraceID() {
		t.Errorf("accept is %+v", accept)
	}
	if one.Status.Code != codes.Unset || other.Status.Code != codes.Error {
		t.Errorf("the requests ended with %v and %v", one.Status, other.Status)
	}
}

// TestSendContinuesWhatWasStored: a message that was not traced when it was accepted is not traced later.
func TestSendContinuesWhatWasStored(t *testing.T) {
	t.Parallel()
	tracer, kept := newTracer(t)
	request, ended := tracer.Request(t.Context(), http.Header{}, "sendEmail")
	parent := tracer.Parent(request)
	ended(http.StatusAccepted)
	_, sent := tracer.Send(t.Context(), parent, uuid.New(), 1)
	sent(errors.New("user@example.com does not exist"))
	_, sent = tracer.Send(t.Context(), "", uuid.New(), 1)
	sent(nil)
	spans := kept.GetSpans()
	if len(spans) != 2 || spans[1].Name != "send" || spans[1].SpanContext.TraceID() != spans[0].SpanContext.TraceID() {
		t.Fatalf("spans: %+v", spans)
	}
	if status := spans[1].Status; status.Code != codes.Error || status.Description != "failed" || len(spans[1].Events) > 0 {
		t.Errorf("a span must not repeat an error: %+v %+v", status, spans[1].Events)
	}
}

func TestWhatIsNotSampledIsNotStored(t *testing.T) {
	t.Parallel()
	tracer, _ := newTracer(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	request, _ := tracer.Request(t.Context(), http.Header{}, "sendEmail")
	if parent := tracer.Parent(request); parent != "" {
		t.Errorf("parent %q", parent)
	}
	request, _ = tracer.Request(t.Context(), http.Header{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}, "sendEmail")
	if parent := tracer.Parent(request); parent == "" {
		t.Error("the caller's decision does not count")
	}
}
