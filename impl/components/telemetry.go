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
	// MetricsOff is the address that disables the admin listener.
	MetricsOff = "off"
	// adminTimeout is longer than any profile of reasonable length.
	adminTimeout = 10 * time.Minute
	// queueDepthCounted bounds the due rows counted per kind. Counting that many takes the database some ten
	// milliseconds.
	queueDepthCounted = 10_000
	// flushTimeout bounds the time that the end of a process waits for its last spans to be sent.
	flushTimeout = 3 * time.Second
)

// TracingFlags sets whether requests and messages are traced. The exporter reads the other OTEL_ variables itself.
type TracingFlags struct {
	TracesExporter string `name:"traces-exporter" env:"OTEL_TRACES_EXPORTER" placeholder:"NAME" help:"Trace exporter: otlp or none. Default: otlp if an endpoint is set."`
	Endpoint       string `name:"otlp-endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" placeholder:"URL" help:"OpenTelemetry receiver, over HTTP, such as http://localhost:4318. The other OTEL_ variables of exporter, sampler and resource apply too. Default: none, no tracing."`
	TracesEndpoint string `name:"otlp-traces-endpoint" env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" placeholder:"URL" help:"OpenTelemetry receiver of traces, with the full path; takes precedence over --otlp-endpoint. Default: /v1/traces below --otlp-endpoint."`
}

// Check returns a [UsageError] if a setting is wrong.
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

// endpoint returns the URL to which traces are posted. Empty means the exporter's default.
func (flags TracingFlags) endpoint() string {
	if flags.TracesEndpoint != "" || flags.Endpoint == "" {
		return flags.TracesEndpoint
	}
	return strings.TrimSuffix(flags.Endpoint, "/") + "/v1/traces"
}

// Telemetry exports the metrics and profiles of a process on a listener of their own, and sends its traces to a
// receiver. The zero value exports nothing.
type Telemetry struct {
	listener net.Listener
	metrics  *metrics.Metrics // nil without a listener
	tracer   *tracing.Tracer  // nil without tracing
	flush    func(ctx context.Context) error
	log      *slog.Logger
}

// NewTelemetry binds the admin address, before anything else is started. The caller must close the result.
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

// Close closes the listener and sends the last spans.
func (w *Telemetry) Close(ctx context.Context) error {
	var failures []error
	if w.listener != nil {
		// Serving has closed it already.
		failures = append(failures, IgnoreClosed(w.listener.Close)())
	}
	if w.flush != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := w.flush(ctx); err != nil {
			w.log.WarnContext(ctx, "exporting the last traces failed", slog.Any("error", err))
		}
	}
	return errors.Join(failures...)
}

// serve serves the admin listener until ctx ends. If that fails, the process continues without it.
func (w *Telemetry) serve(ctx context.Context) {
	if w.listener == nil {
		return
	}
	w.log.InfoContext(ctx, "serving metrics", slog.String("address", w.listener.Addr().String()))
	server := NewHTTPServer(adminHandler(w.metrics), w.log)
	server.WriteTimeout = adminTimeout
	if err := ServeHTTP(ctx, server, w.listener, func() {}, time.Second); err != nil {
		w.log.ErrorContext(ctx, "serving metrics failed", slog.Any("error", err))
	}
}

// adminHandler serves metrics and profiles, without pprof.Cmdline: the command line may hold a password.
func adminHandler(m *metrics.Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		// A failed write means that the client has disconnected.
		_, _ = w.Write([]byte("mailstack: /metrics /debug/pprof/\n"))
	})
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	return mux
}

// ExportQueueDepth exports as metrics what a database says: the queue depth, and for whom sending is paused.
func (w *Telemetry) ExportQueueDepth(database *store.Store, now func() time.Time) {
	if w.metrics == nil {
		return
	}
	w.metrics.QueueDepth(func(ctx context.Context) ([]metrics.QueueDepth, error) {
		at := now()
		rows, err := database.Queries().QueueDepth(ctx, db.QueueDepthParams{Now: at, MaxRows: queueDepthCounted})
		if err != nil {
			w.log.WarnContext(ctx, "reading queue depth failed", slog.Any("error", err))
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
	w.metrics.SendingPaused(func(ctx context.Context) (organizations, domains int64, err error) {
		paused, err := database.Queries().ReputationPaused(ctx)
		if err != nil {
			w.log.WarnContext(ctx, "reading paused organizations failed", slog.Any("error", err))
		}
		return paused.Organizations, paused.Domains, err
	})
}

// ExportConnections exports a pool of this process, by its name, and its connections for notifications.
func (w *Telemetry) ExportConnections(name string, database *store.Store) {
	if w.metrics == nil {
		return
	}
	w.metrics.Connections(name, func() metrics.Connections {
		pool := database.PoolState()
		return metrics.Connections{
			Used: pool.Used, Idle: pool.Idle, Max: pool.Max, Acquires: pool.Acquires, Waits: pool.Waits, Canceled: pool.Canceled,
			Waited: pool.Waited, Listening: database.Listening(),
		}
	})
}

// ExportDatabase exports the state of a database.
func (w *Telemetry) ExportDatabase(database *store.Store, now func() time.Time) {
	if w.metrics == nil {
		return
	}
	w.metrics.Database(func(ctx context.Context) (state metrics.DatabaseState, err error) {
		if state, err = databaseState(ctx, database, now()); err != nil {
			w.log.WarnContext(ctx, "reading the state of the database failed", slog.Any("error", err))
		}
		return state, err
	}, now)
}

func databaseState(ctx context.Context, database *store.Store, now time.Time) (state metrics.DatabaseState, err error) {
	if state.MonthsAhead, err = database.MonthsAhead(ctx, now); err != nil {
		return state, err
	}
	if state.OldestPartitions, err = database.OldestPartitions(ctx); err != nil {
		return state, err
	}
	counts, err := database.Queries().SetAsideCount(ctx)
	state.SetAside = map[string]int64{"notifications": counts.Notifications, "results": counts.Results}
	return state, err
}

// ExportClock exports how far the clock of the machine is off.
func (w *Telemetry) ExportClock(clock *store.Clock) {
	if w.metrics != nil {
		w.metrics.ClockAhead(clock.Ahead)
	}
}

// instrumentedSender records every attempt to send by SES.
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

// instrumentedWebhooks records every attempt to deliver an event. The id of an event holds the time of its storage.
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
