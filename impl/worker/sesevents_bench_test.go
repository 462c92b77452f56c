package worker_test

import (
	"context"
	"testing"

	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// BenchmarkRecording measures a worker that has a backlog of events, one for each message.
func BenchmarkRecording(b *testing.B) {
	for name, subscribed := range map[string]bool{"no webhook": false, "a webhook": true} {
		b.Run(name, func(b *testing.B) {
			s, err := store.Open(context.Background(), store.Config{URL: storetest.URL(b), MaxConns: 20, Name: "bench"})
			must(b, err)
			b.Cleanup(s.Close)
			h := newHouseOn(b, s)
			o := h.tenant(b)
			if subscribed {
				h.subscribe(b, o, "https://a.example", "email.delivered")
			}
			for left := b.N; left > 0; left -= 1000 {
				ids := h.accept(b, o, min(left, 1000))
				bodies := make([]string, len(ids))
				for i, id := range ids {
					bodies[i] = deliveryEvent(id, secondRecipient)
				}
				h.exec(b, "INSERT INTO notifications (message_id, body, received_at, due_at) SELECT gen_random_uuid()::text, body, now(), now() FROM unnest($1::text[]) AS body", bodies)
			}
			h.noSends(b)
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			h.clock.advance(testTimeout)
			b.ResetTimer()
			go func() { defer close(ended); h.worker.Events.Run(ctx) }()
			eventually(b, "all are recorded", func() bool {
				return h.count(b, "SELECT count(*) FROM notifications WHERE due_at IS NOT NULL") == 0
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			cancel()
			<-ended
		})
	}
}
