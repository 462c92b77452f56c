package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/metrics"
)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if answer.Code != http.StatusOK {
		t.Fatalf("%d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func shows(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no %q in\n%s", line, text)
		}
	}
}

// TestDueIsReadSeldom: scrapes in quick succession share a read of the database, and a failed read is exported as such.
func TestDueIsReadSeldom(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	now, looks := time.Unix(1_000_000, 0), 0
	var failure error
	m.QueueDepth(func(ctx context.Context) ([]metrics.QueueDepth, error) {
		looks++
		if deadline, bounded := ctx.Deadline(); !bounded || time.Until(deadline) > 2*time.Second {
			t.Error("the read is not bounded")
		}
		return []metrics.QueueDepth{{Kind: "sends", Rows: int64(looks), Age: time.Duration(looks) * time.Second}}, failure
	}, func() time.Time { return now })
	for range 3 {
		shows(t, scrape(t, m), "mailstack_due_known 1", `mailstack_due_rows{kind="sends"} 1`, `mailstack_due_oldest_seconds{kind="sends"} 1`)
	}
	now = now.Add(15 * time.Second)
	shows(t, scrape(t, m), `mailstack_due_rows{kind="sends"} 2`)
	now, failure = now.Add(15*time.Second), errors.New("gone")
	text := scrape(t, m)
	if shows(t, text, "mailstack_due_known 0"); strings.Contains(text, "due_rows{") {
		t.Error("shows what it does not know")
	}
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	var failure error
	now := time.Unix(1_000_000, 0)
	m.Database(func(context.Context) (metrics.DatabaseState, error) {
		return metrics.DatabaseState{
			MonthsAhead: 6, OldestPartitions: map[string]time.Time{"emails": time.Unix(1000, 0)}, SetAside: map[string]int64{"results": 2},
		}, failure
	}, func() time.Time { return now })
	m.Connections("worker", func() metrics.Connections {
		return metrics.Connections{
			Used: 1, Idle: 2, Max: 4, Acquires: 10, Waits: 3, Canceled: 1, Waited: 1500 * time.Millisecond,
			Listening: map[string]bool{"sends": true, "deliveries": false},
		}
	})
	shows(t, scrape(t, m), "mailstack_partition_months_ahead 6", `mailstack_partition_oldest_timestamp_seconds{table="emails"} 1000`,
		`mailstack_set_aside{kind="results"} 2`, `mailstack_pool_connections{pool="worker",state="used"} 1`, `mailstack_pool_connections{pool="worker",state="max"} 4`,
		`mailstack_pool_acquires_total{pool="worker"} 10`, `mailstack_pool_waits_total{pool="worker"} 3`, `mailstack_pool_wait_seconds_total{pool="worker"} 1.5`,
		`mailstack_pool_canceled_acquires_total{pool="worker"} 1`, `mailstack_listening{channel="sends",pool="worker"} 1`, `mailstack_listening{channel="deliveries",pool="worker"} 0`)
	now, failure = now.Add(time.Minute), errors.New("gone")
	if text := scrape(t, m); strings.Contains(text, "months_ahead 6") {
		t.Error("shows what it does not know")
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	worker := m.Worker()
	worker.JobDone("sweep identities", nil)
	worker.JobDone("drop partitions", errors.New("locked"))
	worker.JobDone("drop partitions", errors.New("locked"))
	text := scrape(t, m)
	shows(t, text, `mailstack_job_failures_total{job="drop partitions"} 2`, `mailstack_job_failures_total{job="sweep identities"} 0`)
	if !strings.Contains(text, `mailstack_job_last_success_timestamp_seconds{job="sweep identities"} `) ||
		strings.Contains(text, `mailstack_job_last_success_timestamp_seconds{job="drop partitions"}`) {
		t.Errorf("the last successes are wrong:\n%s", text)
	}
}

func TestWorker(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	told := m.Worker()
	told.Settled("failed", "rejected", false)
	told.Settled("postponed", "", true)
	told.Attempted("throttled", time.Millisecond)
	told.EventStored(-time.Second) // the clocks of two machines
	told.Delivered(true, time.Minute, time.Second)
	told.Delivered(false, time.Hour, time.Second)
	told.Dropped(func() map[string]int64 { return map[string]int64{"expired": 3} })
	shows(t, scrape(t, m),
		`mailstack_sends_total{outcome="failed",reason="rejected"} 1`, `mailstack_sends_total{outcome="postponed",reason=""} 1`,
		`mailstack_sends_ambiguous_total 1`, `mailstack_ses_attempts_total{class="throttled"} 1`,
		`mailstack_event_lag_seconds_sum 0`, `mailstack_event_lag_seconds_count 1`,
		`mailstack_webhook_attempts_total{outcome="delivered"} 1`, `mailstack_webhook_attempts_total{outcome="failed"} 1`,
		`mailstack_webhook_lag_seconds_sum 60`, `mailstack_webhook_lag_seconds_count 1`, `mailstack_webhook_attempt_seconds_count 2`,
		`mailstack_events_dropped_total{reason="expired"} 3`,
	)
}

// BenchmarkRequest measures what the metrics cost a request.
func BenchmarkRequest(b *testing.B) {
	told := metrics.New().API()
	answered := told.Operation("sendEmail")
	b.ReportAllocs()
	for b.Loop() {
		answered(http.StatusAccepted, time.Millisecond)
		told.Accepted(time.Millisecond)
	}
}
