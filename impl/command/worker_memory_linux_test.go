package command_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/store/storetest"
)

// A worker stays below this with any backlog.
const maxWorkerMemory = 256 << 20

// discarding is SES in front of the simulator, which would keep the large messages that it is sent.
func discarding(t *testing.T, p *production) (endpoint string, sent *atomic.Int64) {
	t.Helper()
	sent = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/email/outbound-emails" {
			p.simulator.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // what is cut off is retried
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"MessageId":"m%d"}`, sent.Add(1))
	}))
	t.Cleanup(server.Close)
	return server.URL, sent
}

// The largest messages, in a backlog that is many times the memory of the worker, of one organization.
func TestTheMemoryOfAWorkerIsBounded(t *testing.T) {
	t.Parallel()
	const messages = 64
	p := newProduction(t)
	_, c := p.serve(t, "--no-worker")
	p.verify(t, c, "acme.example")
	first := c.send(t, "hello@acme.example")
	s := storetest.Open(t, p.database)
	// The rows of the first message, again and again, with bodies of 9.9 MB. Half of it are characters that JSON escapes.
	for _, statement := range []string{
		`CREATE TABLE copies AS SELECT '` + first + `'::uuid AS id UNION ALL
			SELECT (substr('` + first + `', 1, 24) || lpad(to_hex(n), 12, '0'))::uuid FROM generate_series(2, ` + strconv.Itoa(messages) + `) AS n`,
		"UPDATE contents SET html = repeat('<p>\"quoted\"</p>', 660000), text = ''",
		"INSERT INTO contents SELECT copies.id, organization_id, html, text FROM contents, copies WHERE copies.id <> email_id",
		"INSERT INTO recipients SELECT copies.id, position, organization_id, kind, name, address, address_key, outcome FROM recipients, copies WHERE copies.id <> email_id",
		`INSERT INTO emails (id, organization_id, api_key_id, domain_id, from_email, from_name, to_email, cc, bcc, reply_to, subject, tags, queued_at, created_at)
			SELECT copies.id, organization_id, api_key_id, domain_id, from_email, from_name, to_email, cc, bcc, reply_to, subject, tags, queued_at, created_at
			FROM emails, copies WHERE copies.id <> emails.id`,
		"UPDATE sends SET body_bytes = 9900000",
		"INSERT INTO sends (email_id, organization_id, due_at, body_bytes) SELECT copies.id, organization_id, due_at, body_bytes FROM sends, copies WHERE copies.id <> email_id",
	} {
		if _, err := s.Pool().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	endpoint, sent := discarding(t, p)
	began := time.Now()
	worker := launch(t, append(p.environment, "AWS_ENDPOINT_URL="+endpoint), "worker")
	eventually(t, "all are sent", func() bool {
		worker.alive()
		var left int
		err := s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM sends").Scan(&left)
		return err == nil && left == 0
	})
	peak := peakMemory(t, worker.command.Process.Pid)
	t.Logf("%d messages of 9.9 MB in %s: peak memory of the worker %d MiB", messages, time.Since(began).Round(time.Millisecond), peak>>20)
	if peak >= maxWorkerMemory {
		t.Errorf("the worker took %d MiB", peak>>20)
	}
	if sent.Load() != messages {
		t.Errorf("SES was sent %d messages", sent.Load())
	}
	worker.stops()
}

// peakMemory returns the most memory that a process has had resident.
func peakMemory(t *testing.T, process int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if peak, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(peak), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("the peak is unknown")
	return 0
}
