package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// queueDepthTTL is how long what was read of due rows is shown again: whoever reads more often costs the database nothing.
	queueDepthTTL = 15 * time.Second
	// queueDepthTimeout bounds the reading.
	queueDepthTimeout = 2 * time.Second
)

// QueueDepth is how much work of a kind is due, and since when.
type QueueDepth struct {
	Kind string
	Rows int64
	// Age is how long the oldest has been due; 0 when there is none.
	Age time.Duration
}

// QueueDepth shows what is due. read is called at most every 15 seconds, and has two; while it fails nothing is shown but
// that it does.
func (m *Metrics) QueueDepth(read func(ctx context.Context) ([]QueueDepth, error), now func() time.Time) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	m.registry.MustRegister(&queueDepthCollector{
		read: read, now: now,
		rows:  describe("due_rows", "Rows whose time has come and that nobody has in hand; no more than 10,000 are counted.", "kind"),
		age:   describe("due_oldest_seconds", "How long the oldest of them has been due.", "kind"),
		known: describe("due_known", "1 when the database said what is due, 0 when it did not."),
	})
}

type queueDepthCollector struct {
	read             func(ctx context.Context) ([]QueueDepth, error)
	now              func() time.Time
	rows, age, known *prometheus.Desc

	mutex sync.Mutex
	at    time.Time
	found []QueueDepth
	err   error
}

// Describe is of prometheus.Collector.
func (c *queueDepthCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.rows
	to <- c.age
	to <- c.known
}

// Collect is of prometheus.Collector.
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

// fresh reads what is due, for one scrape at a time.
func (c *queueDepthCollector) fresh() ([]QueueDepth, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if now := c.now(); c.at.IsZero() || now.Sub(c.at).Abs() >= queueDepthTTL {
		// Prometheus hands over no context.
		ctx, cancel := context.WithTimeout(context.Background(), queueDepthTimeout)
		defer cancel()
		c.found, c.err = c.read(ctx)
		c.at = now
	}
	if c.err != nil {
		return nil, c.err
	}
	return c.found, nil
}
