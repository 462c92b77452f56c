package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// databaseTTL is how long the state of the database is cached.
const databaseTTL = time.Minute

// DatabaseState is what periodic jobs keep in order, and what an operator should look at.
type DatabaseState struct {
	// MonthsAhead is for how many months after this one there are partitions.
	MonthsAhead int
	// OldestPartitions is the month of the oldest partition of each table.
	OldestPartitions map[string]time.Time
	// SetAside is how much of each kind was set aside because Postgres refuses it.
	SetAside map[string]int64
}

// Database exports the state of the database. It calls read at most once a minute, with a timeout of two seconds; while read
// fails, nothing is exported.
func (m *Metrics) Database(read func(ctx context.Context) (DatabaseState, error), now func() time.Time) {
	m.registry.MustRegister(&databaseCollector{
		cached: cached[DatabaseState]{read: read, now: now, ttl: databaseTTL},
		ahead:  describe("partition_months_ahead", "Months after this one that have partitions, without a gap."),
		oldest: describe("partition_oldest_timestamp_seconds", "Month of the oldest partition that is not dropped, by table.", "table"),
		aside:  describe("set_aside", "What was set aside because Postgres refuses it, by kind: notifications of SES, results of sending.", "kind"),
	})
}

type databaseCollector struct {
	cached[DatabaseState]
	ahead, oldest, aside *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *databaseCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.ahead
	to <- c.oldest
	to <- c.aside
}

// Collect implements prometheus.Collector.
func (c *databaseCollector) Collect(to chan<- prometheus.Metric) {
	found, err := c.fresh()
	if err != nil {
		return
	}
	to <- prometheus.MustNewConstMetric(c.ahead, prometheus.GaugeValue, float64(found.MonthsAhead))
	for table, month := range found.OldestPartitions {
		to <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, float64(month.Unix()), table)
	}
	for kind, count := range found.SetAside {
		to <- prometheus.MustNewConstMetric(c.aside, prometheus.GaugeValue, float64(count), kind)
	}
}

// Connections is the state of a process's connections to the database.
type Connections struct {
	Used, Idle, Max           int
	Acquires, Waits, Canceled int64
	Waited                    time.Duration
	// Listening says for each channel whether its connection for notifications stands.
	Listening map[string]bool
}

// Connections exports a pool, by its name, and the connections for notifications that belong to it.
func (m *Metrics) Connections(pool string, read func() Connections) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, prometheus.Labels{"pool": pool})
	}
	m.registry.MustRegister(&connectionsCollector{
		read:      read,
		pool:      describe("pool_connections", "Connections of the pool, by state: used, idle, and the most there may be (max).", "state"),
		acquires:  describe("pool_acquires_total", "Connections taken from the pool."),
		waits:     describe("pool_waits_total", "Connections that had to be waited for, since none was idle."),
		waited:    describe("pool_wait_seconds_total", "How long connections were waited for, in all."),
		canceled:  describe("pool_canceled_acquires_total", "Connections that were no longer waited for."),
		listening: describe("listening", "1 if the connection for notifications of a channel stands, 0 if work is found by polling alone.", "channel"),
	})
}

type connectionsCollector struct {
	read                                               func() Connections
	pool, acquires, waits, waited, canceled, listening *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *connectionsCollector) Describe(to chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{c.pool, c.acquires, c.waits, c.waited, c.canceled, c.listening} {
		to <- one
	}
}

// Collect implements prometheus.Collector.
func (c *connectionsCollector) Collect(to chan<- prometheus.Metric) {
	found := c.read()
	for state, count := range map[string]int{"used": found.Used, "idle": found.Idle, "max": found.Max} {
		to <- prometheus.MustNewConstMetric(c.pool, prometheus.GaugeValue, float64(count), state)
	}
	to <- prometheus.MustNewConstMetric(c.acquires, prometheus.CounterValue, float64(found.Acquires))
	to <- prometheus.MustNewConstMetric(c.waits, prometheus.CounterValue, float64(found.Waits))
	to <- prometheus.MustNewConstMetric(c.waited, prometheus.CounterValue, seconds(found.Waited))
	to <- prometheus.MustNewConstMetric(c.canceled, prometheus.CounterValue, float64(found.Canceled))
	for channel, connected := range found.Listening {
		stands := 0.0
		if connected {
			stands = 1
		}
		to <- prometheus.MustNewConstMetric(c.listening, prometheus.GaugeValue, stands, channel)
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}
