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

// Open returns a Tracer that sends its spans in the background to an OTLP receiver at url, over HTTP. An empty url
// means the standard port of this machine. Headers, certificates, timeouts, sampler, resource and the limits of the
// queue come from the standard variables (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_SERVICE_NAME, OTEL_BSP_*). While the receiver is unavailable, spans are lost and nothing waits for it. closer
// sends the last spans.
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

// loggedExporter logs the loss of spans, which the library would report to a global handler of its own.
type loggedExporter struct {
	sdktrace.SpanExporter
	log *slog.Logger
}

// ExportSpans sends spans to the receiver.
func (e loggedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.log.WarnContext(ctx, "exporting traces failed", slog.Int("spans", len(spans)), slog.Any("error", err))
	}
	return nil
}
