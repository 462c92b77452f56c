// Package metrics owns every Prometheus collector, under plain methods. The other packages declare what they report, and
// know neither this package nor the library.
//
//   - metrics.go: New, the page
//   - api.go: requests, problems, acceptance
//   - mail.go: sends, attempts at SES, events of SES, webhooks
//   - queue_depth.go: due rows and the age of the oldest
//
// What is called for every request has its series at hand: about a microsecond in all, and no allocation.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "mailstack"

// Metrics are those of one process. They are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	api
	mail
}

// New makes the metrics of a process: those of the Go runtime and of the process too.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler is the page that Prometheus reads.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
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

// fastBuckets are bounds for what takes milliseconds, in seconds.
func fastBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

// slowBuckets are bounds for what may wait for others: milliseconds to days, in seconds.
func slowBuckets() []float64 {
	return []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600, 72 * 3600}
}

func seconds(took time.Duration) float64 { return max(0, took.Seconds()) }
