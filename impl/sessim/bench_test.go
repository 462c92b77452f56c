package sessim_test

import (
	"path/filepath"
	"testing"

	"github.com/voostack/mailstack/impl/sessim"
)

// BenchmarkSendEmail measures the SDK, HTTP over loopback and the journal together.
func BenchmarkSendEmail(b *testing.B) {
	r := ready(b, sessim.Config{Journal: filepath.Join(b.TempDir(), "ses.jsonl"), MaxPerSecond: 1e9})
	m := message()
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.client.Send(b.Context(), m); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
