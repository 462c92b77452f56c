package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// queueDepthTTL is how long a queue depth is cached: more frequent scrapes cost the database nothing.
	queueDepthTTL = 15 * time.Second
	// readTimeout bounds reading from the database for a scrape.
	readTimeout = 2 * time.Second
)

// QueueDepth is the amount of due work of a kind, and its age.
type QueueDepth struct {
	Kind string
	Rows int64
	// Age is how long the oldest row has been due. Zero means that none is due.
	Age time.Duration
}

// QueueDepth exports the queue depth. It calls read at most every 15 seconds, with a timeout of two; while read fails,
// only mailstack_due_known is exported, as 0.
func (m *Metrics) QueueDepth(read func(ctx context.Context) ([]QueueDepth, error), now func() time.Time) {
	m.registry.MustRegister(&queueDepthCollector{
		cached: cached[[]QueueDepth]{read: read, now: now, ttl: queueDepthTTL},
		rows:   describe("due_rows", "Due rows not yet claimed, by kind; at most 10,000 are counted.", "kind"),
		age:    describe("due_oldest_seconds", "Age of the oldest due row not yet claimed, by kind.", "kind"),
		known:  describe("due_known", "1 if the queue depth could be read, 0 if not."),
	})
}

type queueDepthCollector struct {
	cached[[]QueueDepth]
	rows, age, known *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *queueDepthCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.rows
	to <- c.age
	to <- c.known
}

// Collect implements prometheus.Collector.
func (c *queueDepthCollector) Collect(to chan<- prometheus.Metric) {
	found, err := c.fresh()
	known := 1.0
	if err != nil {
		known = 0
	}
	to <- prometheus.MustNewConstMetric(c.known, prometheus.GaugeValue, known)
	for _, one := range found {
		to <- prometheus.MustNewConstMetric(c.rows, prometheus.GaugeValue, float64(one.Rows), one.Kind)
		to <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, seconds(one.Age), one.Kind)
	}
}

// cached is what is read of the database for scrapes, at most once in ttl.
type cached[T any] struct {
	read func(ctx context.Context) (T, error)
	now  func() time.Time
	ttl  time.Duration

	mutex sync.Mutex
	at    time.Time
	found T
	err   error
}

// fresh returns what is cached, or reads it. Concurrent scrapes share one read.
func (c *cached[T]) fresh() (T, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if now := c.now(); c.at.IsZero() || now.Sub(c.at).Abs() >= c.ttl {
		// Prometheus passes no context to a collector.
		ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
		defer cancel()
		c.found, c.err = c.read(ctx)
		c.at = now
	}
	if c.err != nil {
		var unknown T
		return unknown, c.err
	}
	return c.found, nil
}
