package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Open returns a Tracer whose spans are sent in the background to an OTLP receiver, over HTTP: to the URL, and where that
// is empty to the standard port of this machine. Its headers, certificates and timeouts, the sampler, the resource and the limits of the queue are
// taken from the standard variables too (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_SERVICE_NAME, OTEL_BSP_*). When the receiver is away spans are lost, and nothing waits for it. Close sends what is
// left.
//
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/
func Open(ctx context.Context, url string, log *slog.Logger) (tracer *Tracer, closer func(ctx context.Context) error, err error) {
	var options []otlptracehttp.Option
	if url != "" {
		options = append(options, otlptracehttp.WithEndpointURL(url))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("set up the export of traces: %w", err)
	}
	named, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithAttributes(attribute.String("service.name", "mailstack")), resource.WithFromEnv(),
	)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err), exporter.Shutdown(ctx))
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(loggedExporter{exporter, log}), sdktrace.WithResource(named))
	return New(provider), provider.Shutdown, nil
}

// loggedExporter tells the log when spans are lost, which the library would tell a global of its own.
type loggedExporter struct {
	sdktrace.SpanExporter
	log *slog.Logger
}

// ExportSpans sends spans to the receiver.
func (e loggedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.log.WarnContext(ctx, "traces cannot be exported", slog.Int("spans", len(spans)), slog.Any("error", err))
	}
	return nil
}
