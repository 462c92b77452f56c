package metrics

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// api holds the metrics of a process that serves requests.
type api struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	problems  *prometheus.CounterVec

	groups, transactions, acceptances prometheus.Histogram
}

// API registers the metrics of requests and of acceptance. Call it once, in a process that serves the API.
func (m *Metrics) API() API {
	m.requests = m.counters("http_requests_total", "HTTP requests by operation and status; 499 means that the client disconnected before the response.", "operation", "status")
	m.durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "http_request_seconds", Buckets: fastBuckets(),
		Help: "Time from the header of a request to the end of its response, by operation.",
	}, []string{"operation"})
	m.registry.MustRegister(m.durations)
	m.problems = m.counters("problems_total", "Problem responses by code.", "code")
	m.groups = m.histogram("accept_group_messages", "Messages per accept transaction (group commit).",
		[]float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512})
	m.transactions = m.histogram("accept_transaction_seconds", "Duration of accept transactions.", fastBuckets())
	m.acceptances = m.histogram("accept_seconds", "Time that a request spends in acceptance until its commit, including waiting.", fastBuckets())
	return API{m}
}

// API records requests and their acceptance.
type API struct{ metrics *Metrics }

// Operation returns the function to call after each response of an operation.
func (a API) Operation(id string) func(status int, took time.Duration) {
	requests, duration := a.metrics.requests.MustCurryWith(prometheus.Labels{"operation": id}), a.metrics.durations.WithLabelValues(id)
	var statuses sync.Map // of int to prometheus.Counter
	return func(status int, took time.Duration) {
		counter, known := statuses.Load(status)
		if !known {
			counter, _ = statuses.LoadOrStore(status, requests.WithLabelValues(strconv.Itoa(status)))
		}
		counter.(prometheus.Counter).Inc()
		duration.Observe(seconds(took))
	}
}

// Problem counts a problem response.
func (a API) Problem(code string) { a.metrics.problems.WithLabelValues(code).Inc() }

// Group records an accept transaction.
func (a API) Group(messages int, took time.Duration) {
	a.metrics.groups.Observe(float64(messages))
	a.metrics.transactions.Observe(seconds(took))
}

// Accepted records how long a request was in acceptance.
func (a API) Accepted(took time.Duration) { a.metrics.acceptances.Observe(seconds(took)) }

// Waiting exports how many messages wait to be accepted or are being stored.
func (a API) Waiting(read func() int) {
	a.metrics.gauge("accept_waiting_messages", "Messages waiting to be accepted or being stored.",
		func() float64 { return float64(read()) })
}

// Bodies exports how many bytes are reserved for the bodies of requests in flight.
func (a API) Bodies(read func() int64) {
	a.metrics.gauge("body_bytes_in_flight", "Bytes reserved for the bodies of requests in flight.",
		func() float64 { return float64(read()) })
}
