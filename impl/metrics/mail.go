package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// mail are the metrics of a process that does due work.
type mail struct {
	sends, attempts, deliveries       *prometheus.CounterVec
	ambiguous                         prometheus.Counter
	sendLatency, attemptDuration      prometheus.Histogram
	eventLag                          prometheus.Histogram
	webhookLag, webhookAttemptSeconds prometheus.Histogram
}

// Worker are the metrics of what is due. Call it once, in a process that works.
func (m *Metrics) Worker() Worker {
	m.sends = m.counters("sends_total",
		"Outcomes of messages that were due, once they are stored: sent, failed, postponed, or finished by others; and why those failed.",
		"outcome", "reason")
	m.ambiguous = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "sends_ambiguous_total", Help: "Attempts of which nobody knows whether SES took the message.",
	})
	m.registry.MustRegister(m.ambiguous)
	m.sendLatency = m.histogram("send_seconds", "From the acceptance of a message to the answer of SES that took it.", slowBuckets())
	m.attempts = m.counters("ses_attempts_total", "Attempts to send a message, by what SES made of them: taken, throttled, rejected and so on.", "class")
	m.attemptDuration = m.histogram("ses_attempt_seconds", "How long SES took to answer.", fastBuckets())
	m.eventLag = m.histogram("event_lag_seconds", "From what SES reports of a message to its being stored.", slowBuckets())
	m.deliveries = m.counters("webhook_attempts_total", "Attempts to deliver an event to a webhook: delivered or failed.", "outcome")
	m.webhookLag = m.histogram("webhook_lag_seconds", "From an event to the answer of the webhook that took it.", slowBuckets())
	m.webhookAttemptSeconds = m.histogram("webhook_attempt_seconds", "How long webhooks took to answer.", fastBuckets())
	return Worker{m}
}

// Worker is told of due work.
type Worker struct{ metrics *Metrics }

// Settled is told what became of a message that was due, and why it failed.
func (w Worker) Settled(outcome, reason string, ambiguous bool) {
	w.metrics.sends.WithLabelValues(outcome, reason).Inc()
	if ambiguous {
		w.metrics.ambiguous.Inc()
	}
}

// Sent is told how long after its acceptance SES took a message.
func (w Worker) Sent(latency time.Duration) { w.metrics.sendLatency.Observe(seconds(latency)) }

// Attempted is told of every call of SES to send.
func (w Worker) Attempted(class string, took time.Duration) {
	w.metrics.attempts.WithLabelValues(class).Inc()
	w.metrics.attemptDuration.Observe(seconds(took))
}

// EventStored is told of every event of SES that was stored, and how long after it happened.
func (w Worker) EventStored(lag time.Duration) { w.metrics.eventLag.Observe(seconds(lag)) }

// Delivered is told of every attempt to deliver an event, how long after the event it ended, and how long it took.
func (w Worker) Delivered(taken bool, lag, took time.Duration) {
	w.metrics.webhookAttemptSeconds.Observe(seconds(took))
	if !taken {
		w.metrics.deliveries.WithLabelValues("failed").Inc()
		return
	}
	w.metrics.deliveries.WithLabelValues("delivered").Inc()
	w.metrics.webhookLag.Observe(seconds(lag))
}

// Dropped shows how many events of SES led nowhere, by the reason.
func (w Worker) Dropped(read func() map[string]int64) {
	w.metrics.registry.MustRegister(dropped{read, prometheus.NewDesc(
		prometheus.BuildFQName(namespace, "", "events_dropped_total"), "Events of SES that were dropped.", []string{"reason"}, nil)})
}

type dropped struct {
	read func() map[string]int64
	desc *prometheus.Desc
}

// Describe is of prometheus.Collector.
func (d dropped) Describe(to chan<- *prometheus.Desc) { to <- d.desc }

// Collect is of prometheus.Collector.
func (d dropped) Collect(to chan<- prometheus.Metric) {
	for reason, count := range d.read() {
		to <- prometheus.MustNewConstMetric(d.desc, prometheus.CounterValue, float64(count), reason)
	}
}
