// Package metrics owns every Prometheus collector, behind plain methods. The packages that report declare the methods
// they need, and know neither this package nor the library.
//
//   - metrics.go: [New], the page that Prometheus reads
//   - api.go: requests, problems, acceptance
//   - mail.go: sends, attempts by SES, SES events, webhooks
//   - queue_depth.go: due rows and the age of the oldest; paused.go: for whom sending is paused
//   - database.go: partitions, what was set aside, the pool and the connections for notifications
//
// The methods that are called for every request have looked up their series before: about a microsecond in all, and no
// allocation.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "mailstack"

// Metrics holds the metrics of one process. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	api
	mail
}

// New returns the metrics of a process, with the collectors of the Go runtime and of the process registered.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler returns the handler of the page that Prometheus reads.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// ClockAhead exports how far the clock of the machine is ahead of Postgres's.
func (m *Metrics) ClockAhead(read func() time.Duration) {
	m.gauge("clock_ahead_seconds", "Clock of this machine less the clock of Postgres.", func() float64 { return read().Seconds() })
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(vec)
	return vec
}

func (m *Metrics) gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, read))
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	one := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(one)
	return one
}

// fastBuckets returns bounds, in seconds, for durations of milliseconds.
func fastBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

// slowBuckets returns bounds, in seconds, for durations that include waiting: milliseconds to days.
func slowBuckets() []float64 {
	return []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600, 72 * 3600}
}

func seconds(took time.Duration) float64 { return max(0, took.Seconds()) }
