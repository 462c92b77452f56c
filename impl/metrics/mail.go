package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// mail holds the metrics of a process with a worker.
type mail struct {
	sends, attempts, deliveries       *prometheus.CounterVec
	ambiguous                         prometheus.Counter
	sendLatency, attemptDuration      prometheus.Histogram
	claimDuration                     prometheus.Histogram
	eventLag                          prometheus.Histogram
	webhookLag, webhookAttemptSeconds prometheus.Histogram
	jobFailures                       *prometheus.CounterVec
	jobSuccess                        *prometheus.GaugeVec
}

// Worker registers the metrics of due work. Call it once, in a process with a worker.
func (m *Metrics) Worker() Worker {
	m.sends = m.counters("sends_total",
		"Stored outcomes of due messages: sent, failed, postponed, or finished elsewhere; and the reason of a failure.",
		"outcome", "reason")
	m.ambiguous = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "sends_ambiguous_total", Help: "Attempts after which it is unknown whether SES accepted the message.",
	})
	m.registry.MustRegister(m.ambiguous)
	m.sendLatency = m.histogram("send_seconds", "Time from the acceptance of a message to the SES response that took it.", slowBuckets())
	m.claimDuration = m.histogram("send_claim_seconds", "Duration of claims of due messages.", fastBuckets())
	m.attempts = m.counters("ses_attempts_total", "Attempts to send a message by SES result: taken, throttled, rejected and so on.", "class")
	m.attemptDuration = m.histogram("ses_attempt_seconds", "Duration of SES send calls.", fastBuckets())
	m.eventLag = m.histogram("event_lag_seconds", "Time from an SES event to its storage.", slowBuckets())
	m.deliveries = m.counters("webhook_attempts_total", "Attempts to deliver an event to a webhook by outcome: delivered or failed.", "outcome")
	m.webhookLag = m.histogram("webhook_lag_seconds", "Time from an event to the webhook response that took it.", slowBuckets())
	m.webhookAttemptSeconds = m.histogram("webhook_attempt_seconds", "Duration of webhook calls.", fastBuckets())
	m.jobFailures = m.counters("job_failures_total", "Failed runs of periodic jobs, by job.", "job")
	m.jobSuccess = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "job_last_success_timestamp_seconds", Help: "Time of the last successful run of periodic jobs, by job.",
	}, []string{"job"})
	m.registry.MustRegister(m.jobSuccess)
	return Worker{m}
}

// JobDone records a run of a periodic job.
func (w Worker) JobDone(name string, err error) {
	failures := w.metrics.jobFailures.WithLabelValues(name)
	if err != nil {
		failures.Inc()
		return
	}
	w.metrics.jobSuccess.WithLabelValues(name).SetToCurrentTime()
}

// Worker records due work.
type Worker struct{ metrics *Metrics }

// Settled counts the outcome of a due message, and the reason if it failed.
func (w Worker) Settled(outcome, reason string, ambiguous bool) {
	w.metrics.sends.WithLabelValues(outcome, reason).Inc()
	if ambiguous {
		w.metrics.ambiguous.Inc()
	}
}

// Sent records how long after its acceptance SES took a message.
func (w Worker) Sent(latency time.Duration) { w.metrics.sendLatency.Observe(seconds(latency)) }

// Claimed records how long a claim of due messages took.
func (w Worker) Claimed(took time.Duration) { w.metrics.claimDuration.Observe(seconds(took)) }

// Attempted records a call of SES to send.
func (w Worker) Attempted(class string, took time.Duration) {
	w.metrics.attempts.WithLabelValues(class).Inc()
	w.metrics.attemptDuration.Observe(seconds(took))
}

// EventStored records how long after it happened an SES event was stored.
func (w Worker) EventStored(lag time.Duration) { w.metrics.eventLag.Observe(seconds(lag)) }

// Delivered records an attempt to deliver an event: the time from the event to its end, and its duration.
func (w Worker) Delivered(taken bool, lag, took time.Duration) {
	w.metrics.webhookAttemptSeconds.Observe(seconds(took))
	if !taken {
		w.metrics.deliveries.WithLabelValues("failed").Inc()
		return
	}
	w.metrics.deliveries.WithLabelValues("delivered").Inc()
	w.metrics.webhookLag.Observe(seconds(lag))
}

// Dropped exports how many SES events were dropped, by reason.
func (w Worker) Dropped(read func() map[string]int64) {
	w.metrics.registry.MustRegister(dropped{read, prometheus.NewDesc(
		prometheus.BuildFQName(namespace, "", "events_dropped_total"), "Dropped SES events by reason.", []string{"reason"}, nil)})
}

type dropped struct {
	read func() map[string]int64
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (d dropped) Describe(to chan<- *prometheus.Desc) { to <- d.desc }

// Collect implements prometheus.Collector.
func (d dropped) Collect(to chan<- prometheus.Metric) {
	for reason, count := range d.read() {
		to <- prometheus.MustNewConstMetric(d.desc, prometheus.CounterValue, float64(count), reason)
	}
}
