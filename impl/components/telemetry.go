package components

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/deliveries"
	"github.com/voostack/mailstack/impl/metrics"
	"github.com/voostack/mailstack/impl/sending"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/tracing"
	"github.com/voostack/mailstack/impl/webhook"
)

const (
	// MetricsOff switches the admin listener off.
	MetricsOff = "off"
	// adminTimeout is longer than any profile that is asked for with a grain of sense.
	adminTimeout = 10 * time.Minute
	// queueDepthCounted bounds how many due rows of a kind are counted: that takes some ten milliseconds of the database.
	queueDepthCounted = 10_000
	// flushTimeout bounds how long the end of a process waits for its last spans to be sent.
	flushTimeout = 3 * time.Second
)

// TracingFlags say whether requests and messages are traced. What else the OTEL_ variables say is read by the exporter.
type TracingFlags struct {
	TracesExporter string `name:"traces-exporter" env:"OTEL_TRACES_EXPORTER" placeholder:"NAME" help:"otlp or none. Default: otlp where an endpoint is named."`
	Endpoint       string `name:"otlp-endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" placeholder:"URL" help:"OpenTelemetry receiver, over HTTP, such as http://localhost:4318. The other OTEL_ variables of exporter, sampler and resource count too. Default: no tracing."`
	TracesEndpoint string `name:"otlp-traces-endpoint" env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" placeholder:"URL" help:"The same with the path of traces, before the other. Default: /v1/traces of that."`
}

func (flags TracingFlags) Check() error {
	switch flags.TracesExporter {
	case "", "otlp", "none":
	default:
		return Usagef("OTEL_TRACES_EXPORTER is %q: it must be otlp or none", flags.TracesExporter)
	}
	if url := flags.endpoint(); url != "" && !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return Usagef("OTEL_EXPORTER_OTLP_ENDPOINT is %q: it must be a URL such as http://localhost:4318", url)
	}
	return nil
}

func (flags TracingFlags) on() bool {
	return flags.TracesExporter == "otlp" || flags.TracesExporter == "" && flags.endpoint() != ""
}

// endpoint is where traces are posted; empty: where the exporter does by itself.
func (flags TracingFlags) endpoint() string {
	if flags.TracesEndpoint != "" || flags.Endpoint == "" {
		return flags.TracesEndpoint
	}
	return strings.TrimSuffix(flags.Endpoint, "/") + "/v1/traces"
}

// Telemetry is what a process tells of itself: metrics and profiles on a listener of their own, traces to a receiver. The zero
// value tells nothing.
type Telemetry struct {
	listener net.Listener
	metrics  *metrics.Metrics // nil: there is no listener
	tracer   *tracing.Tracer  // nil: nothing is traced
	flush    func(ctx context.Context) error
	log      *slog.Logger
}

// NewTelemetry takes the address, as the API does, before anything else is started. Who gets it has to close it.
func NewTelemetry(ctx context.Context, address string, traces TracingFlags, log *slog.Logger) (w *Telemetry, err error) {
	w = &Telemetry{log: log}
	if address != "" && address != MetricsOff {
		if w.listener, err = Listen(ctx, address, "MAILSTACK_ADMIN_ADDR"); err != nil {
			return nil, fmt.Errorf("%w (or to %q, for no metrics)", err, MetricsOff)
		}
		w.metrics = metrics.New()
	}
	if traces.on() {
		if w.tracer, w.flush, err = tracing.Open(ctx, traces.endpoint(), log); err != nil {
			return nil, errors.Join(err, w.Close(ctx))
		}
	}
	return w, nil
}

// Close ends the listener and sends the last spans.
func (w *Telemetry) Close(ctx context.Context) error {
	var failures []error
	if w.listener != nil {
		// It is closed already when it has served.
		failures = append(failures, IgnoreClosed(w.listener.Close)())
	}
	if w.flush != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := w.flush(ctx); err != nil {
			w.log.WarnContext(ctx, "the last traces cannot be exported", slog.Any("error", err))
		}
	}
	return errors.Join(failures...)
}

// serve serves the admin listener until ctx ends. Should it fail, the process does its work all the same.
func (w *Telemetry) serve(ctx context.Context) {
	if w.listener == nil {
		return
	}
	w.log.InfoContext(ctx, "serving metrics", slog.String("address", w.listener.Addr().String()))
	server := NewHTTPServer(adminHandler(w.metrics), w.log)
	server.WriteTimeout = adminTimeout
	if err := ServeHTTP(ctx, server, w.listener, func() {}, time.Second); err != nil {
		w.log.ErrorContext(ctx, "metrics are no longer served", slog.Any("error", err))
	}
}

// adminHandler serves metrics and profiles. The command line is not shown: it may hold a password.
func adminHandler(m *metrics.Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		// Whoever does not wait for the answer misses nothing.
		_, _ = w.Write([]byte("mailstack: /metrics /debug/pprof/\n"))
	})
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	return mux
}

// ExportQueueDepth shows what is due in a database.
func (w *Telemetry) ExportQueueDepth(database *store.Store, now func() time.Time) {
	if w.metrics == nil {
		return
	}
	w.metrics.QueueDepth(func(ctx context.Context) ([]metrics.QueueDepth, error) {
		at := now()
		rows, err := database.Queries().QueueDepth(ctx, db.QueueDepthParams{Now: at, MaxRows: queueDepthCounted})
		if err != nil {
			w.log.WarnContext(ctx, "it cannot be read how much is due", slog.Any("error", err))
			return nil, err
		}
		found := make([]metrics.QueueDepth, len(rows))
		for i, row := range rows {
			found[i] = metrics.QueueDepth{Kind: row.Kind, Rows: row.Rows}
			if row.Rows > 0 {
				found[i].Age = at.Sub(row.Oldest)
			}
		}
		return found, nil
	}, now)
}

// instrumentedSender tells of every attempt at SES.
type instrumentedSender struct {
	sending.Provider
	told metrics.Worker
}

// Send makes one attempt.
func (s instrumentedSender) Send(ctx context.Context, message ses.Message) (string, error) {
	began := time.Now()
	id, err := s.Provider.Send(ctx, message)
	class := "taken"
	if err != nil {
		class = string(ses.ClassOf(err))
	}
	s.told.Attempted(class, time.Since(began))
	return id, err
}

// instrumentedWebhooks tells of every attempt to deliver an event, whose id has the time when it was stored.
type instrumentedWebhooks struct {
	deliveries.Sender
	told metrics.Worker
}

// Send makes one attempt.
func (w instrumentedWebhooks) Send(ctx context.Context, delivery webhook.Delivery) webhook.Result {
	result := w.Sender.Send(ctx, delivery)
	stored := time.Unix(delivery.EventID.Time().UnixTime())
	w.told.Delivered(result.Failure == "", result.Began.Add(result.Duration).Sub(stored), result.Duration)
	return result
}
