package worker_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/worker"
)

// BenchmarkDeliveryBesideHangingEndpoints measures the time from the transaction of an event to the request at an endpoint
// that answers, 50 a second, alone and beside endpoints of others that hang until their attempts time out, with events for
// more.
func BenchmarkDeliveryBesideHangingEndpoints(b *testing.B) {
	for _, c := range []struct {
		name                     string
		organizations, endpoints int
	}{
		{"alone", 0, 0}, {"1 organization with 100", 1, 100}, {"100 organizations with 1", 100, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			h, r := newHouse(b), newReceivers(b)
			came := make(chan struct{}, 1)
			endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came <- struct{}{} }))
			b.Cleanup(endpoint.Close)
			o := h.tenant(b)
			h.subscribe(b, o, endpoint.URL, "x")
			stop := start(b, h.newWorker(b, func(c *worker.Config) {
				c.Now, c.WebhookSender = time.Now, webhook.NewSender(webhook.Config{Policy: webhook.Policy{AllowLoopbackHTTP: true}})
			}))
			h.backlog(b, 100, h.hostile(b, r, c.organizations, c.endpoints)...)
			eventually(b, "the others hang", func() bool { return r.hanging("/hangs/") >= c.organizations*c.endpoints })
			h.enqueue(b, o)
			<-came
			var took []time.Duration
			ticks := time.NewTicker(20 * time.Millisecond)
			defer ticks.Stop()
			for b.Loop() {
				<-ticks.C
				begun := time.Now()
				h.enqueue(b, o)
				<-came
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			for name, share := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99} {
				b.ReportMetric(float64(took[int(share*float64(len(took)-1))].Microseconds())/1000, name)
			}
			r.release()
			stop()
		})
	}
}
