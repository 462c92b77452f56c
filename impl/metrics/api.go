package metrics

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// api are the metrics of a process that serves requests.
type api struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	problems  *prometheus.CounterVec

	groups, transactions, acceptances prometheus.Histogram
}

// API are the metrics of the requests and of acceptance. Call it once, in a process that serves the API.
func (m *Metrics) API() API {
	m.requests = m.counters("http_requests_total", "Requests, by operation and status. 499: the client went before its answer.", "operation", "status")
	m.durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "http_request_seconds", Buckets: fastBuckets(),
		Help: "From the header of a request to the end of its answer, by operation.",
	}, []string{"operation"})
	m.registry.MustRegister(m.durations)
	m.problems = m.counters("problems_total", "Problems that requests were answered with, by code.", "code")
	m.groups = m.histogram("accept_group_messages", "Messages that were accepted with in one transaction.",
		[]float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512})
	m.transactions = m.histogram("accept_transaction_seconds", "How long an accepting transaction took.", fastBuckets())
	m.acceptances = m.histogram("accept_seconds", "From a request's reaching acceptance to its commit, waiting included.", fastBuckets())
	return API{m}
}

// API is told of requests.
type API struct{ metrics *Metrics }

// Operation returns what is told of every request of an operation, once it is answered.
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

// Problem is told of every answer that is a problem.
func (a API) Problem(code string) { a.metrics.problems.WithLabelValues(code).Inc() }

// Group is told of every accepting transaction.
func (a API) Group(messages int, took time.Duration) {
	a.metrics.groups.Observe(float64(messages))
	a.metrics.transactions.Observe(seconds(took))
}

// Accepted is told how long each request was in acceptance.
func (a API) Accepted(took time.Duration) { a.metrics.acceptances.Observe(seconds(took)) }

// Waiting shows how many messages wait to be accepted or are being stored.
func (a API) Waiting(read func() int) {
	a.metrics.gauge("accept_waiting_messages", "Messages that wait to be accepted, or are being stored.",
		func() float64 { return float64(read()) })
}

// Bodies shows how many bytes the bodies of requests under way take up.
func (a API) Bodies(read func() int64) {
	a.metrics.gauge("body_bytes_in_flight", "Bytes that are set aside for the bodies of requests under way.",
		func() float64 { return float64(read()) })
}
