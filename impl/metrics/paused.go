package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// SendingPaused exports the number of organizations and domains for which sending is paused. read is called with every
// scrape, with a timeout of two seconds; while it fails, nothing is exported.
func (m *Metrics) SendingPaused(read func(ctx context.Context) (organizations, domains int64, err error)) {
	m.registry.MustRegister(pausedCollector{read, prometheus.NewDesc(
		prometheus.BuildFQName(namespace, "", "sending_paused"), "Organizations and domains for which sending is paused, by scope.", []string{"scope"}, nil,
	)})
}

type pausedCollector struct {
	read   func(ctx context.Context) (organizations, domains int64, err error)
	paused *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c pausedCollector) Describe(to chan<- *prometheus.Desc) { to <- c.paused }

// Collect implements prometheus.Collector.
func (c pausedCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	organizations, domains, err := c.read(ctx)
	if err != nil {
		return
	}
	to <- prometheus.MustNewConstMetric(c.paused, prometheus.GaugeValue, float64(organizations), "organization")
	to <- prometheus.MustNewConstMetric(c.paused, prometheus.GaugeValue, float64(domains), "domain")
}
