package worker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/impl/worker"
)

// BenchmarkSending measures a worker that has a backlog: claim, load, SendEmail over HTTP to the simulator, store.
// Client, simulator and Postgres share the machine.
func BenchmarkSending(b *testing.B) {
	for name, organizations := range map[string]int{"1 organization": 1, "100 organizations": 100} {
		b.Run(name, func(b *testing.B) {
			s, err := store.Open(context.Background(), store.Config{URL: storetest.URL(b), MaxConns: 10, Name: "bench"})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(s.Close)
			h := newHouseOn(b, s)
			perOrganization := (b.N + organizations - 1) / organizations
			for left := b.N; left > 0; left -= perOrganization {
				o := h.tenant(b)
				for n := min(left, perOrganization); n > 0; n -= 1000 {
					h.accept(b, o, min(n, 1000))
				}
			}
			counting := &counter{client: h.client, want: int64(b.N), reached: make(chan struct{})}
			d := h.newWorker(b, func(c *worker.Config) { c.Now, c.SES = time.Now, counting })
			b.ResetTimer()
			stop := start(b, d)
			<-counting.reached
			eventually(b, "the last are stored", h.idle(b))
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
			stop()
		})
	}
}

// BenchmarkIdleToSent measures the time from the notification of an idle worker to the sent message.
func BenchmarkIdleToSent(b *testing.B) {
	h := newHouse(b)
	o := h.tenant(b)
	got := make(chan struct{})
	start(b, h.newWorker(b, func(c *worker.Config) {
		c.PollInterval = time.Hour
		c.SES = sender(func(ctx context.Context, m ses.Message) (string, error) {
			got <- struct{}{}
			return h.client.Send(ctx, m)
		})
	}))
	for b.Loop() {
		h.accept(b, o, 1)
		<-got
	}
}

// BenchmarkSimulator measures the simulator and the SDK alone, for comparison.
func BenchmarkSimulator(b *testing.B) {
	h := newHouse(b)
	o := h.tenant(b)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, err := h.client.Send(b.Context(), ses.Message{
				From: "hello@" + o.domain, To: []string{"to@rcpt.example"}, Subject: "A subject", HTML: "<p>Hello</p>", Text: "Hello",
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

// counter closes reached when it has sent want messages.
type counter struct {
	client  *ses.Client
	want    int64
	sent    atomic.Int64
	reached chan struct{}
}

func (c *counter) Send(ctx context.Context, m ses.Message) (string, error) {
	id, err := c.client.Send(ctx, m)
	if err == nil && c.sent.Add(1) == c.want {
		close(c.reached)
	}
	return id, err
}
