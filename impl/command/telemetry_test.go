package command_test

import (
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// page reads a page as text.
func page(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return string(text)
}

func TestMetricsTellWhatHappened(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	serving, c := p.serve(t, "--admin-addr=127.0.0.1:0")
	admin := "http://" + serving.logged("serving metrics", "address")
	p.verify(t, c, "acme.example")
	c.awaitSent(t, c.send(t, "hello@acme.example"))
	client{url: c.url}.do(t, http.MethodPost, "/v1/emails", "{}", nil)

	lines := []string{
		`mailstack_sends_total{outcome="sent",reason=""} 1`,
		`mailstack_http_requests_total{operation="sendEmail",status="202"} 1`,
		`mailstack_http_requests_total{operation="sendEmail",status="401"} 1`,
		`mailstack_http_request_seconds_count{operation="sendEmail"} 2`,
		`mailstack_problems_total{code="unauthorized"} 1`,
		`mailstack_accept_group_messages_sum 1`,
		`mailstack_accept_transaction_seconds_count 1`,
		`mailstack_accept_seconds_count 1`,
		`mailstack_accept_waiting_messages 0`,
		`mailstack_body_bytes_in_flight 0`,
		`mailstack_due_known 1`,
		`mailstack_partition_months_ahead `,
		`mailstack_set_aside{kind="notifications"} 0`,
		`mailstack_listening{channel="sends",pool="worker"} 1`,
		`mailstack_pool_waits_total{pool="api"} `,
		`mailstack_due_rows{kind="sends"} `,
		`mailstack_due_oldest_seconds{kind="notifications"} 0`,
		`mailstack_due_rows{kind="deliveries"} 0`,
		`mailstack_due_rows{kind="domain_checks"} `,
		`mailstack_ses_attempts_total{class="taken"} 1`,
		`mailstack_ses_attempt_seconds_count 1`,
		`mailstack_send_seconds_count 1`,
		`mailstack_send_claim_seconds_count `,
		`mailstack_sends_ambiguous_total 0`,
		`mailstack_events_dropped_total{reason="foreign"} 0`,
		"go_memstats_mallocs_total ",
		"process_resident_memory_bytes ",
	}
	eventually(t, "everything is counted", func() bool {
		text := page(t, admin+"/metrics")
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(text, "\n"+line) })
		return len(lines) == 0
	})
	if found := page(t, admin+"/debug/pprof/goroutine?debug=1"); !strings.Contains(found, "goroutine profile") {
		t.Errorf("pprof: %s", found)
	}
	if found := page(t, admin); !strings.Contains(found, "/metrics") {
		t.Errorf("index: %s", found)
	}
	for _, hidden := range []string{admin + "/debug/pprof/cmdline", c.url + "/metrics", c.url + "/debug/pprof/"} {
		if status := (client{url: hidden}).do(t, http.MethodGet, "", "", nil); status != http.StatusNotFound {
			t.Errorf("%s: %d", hidden, status)
		}
	}
}

func TestServeSaysThatItsAdminPortIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for _, arguments := range [][]string{{"serve", "--addr=127.0.0.1:0"}, {"worker"}} {
		_, stderr, code := execute(t, append(arguments, "--admin-addr="+taken.Addr().String(),
			"--secret-key="+aKey, "--database-url=postgres:///x")...)
		if code != 1 || !strings.Contains(stderr, "MAILSTACK_ADMIN_ADDR") || !strings.Contains(stderr, `"off"`) {
			t.Errorf("%s: exit code %d: %s", arguments[0], code, stderr)
		}
	}
}

// receiver takes traces as an OpenTelemetry collector does.
type receiver struct {
	mutex sync.Mutex
	// spans has the trace and the parent of every span by its name.
	spans map[string]span
}

type span struct{ trace, id, parent string }

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var posted collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &posted)
	}
	if err != nil || request.URL.Path != "/v1/traces" {
		http.Error(w, "not a trace", http.StatusBadRequest)
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, resource := range posted.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, one := range scope.GetSpans() {
				r.spans[one.GetName()] = span{
					hex.EncodeToString(one.GetTraceId()), hex.EncodeToString(one.GetSpanId()), hex.EncodeToString(one.GetParentSpanId()),
				}
			}
		}
	}
}

func (r *receiver) found(name string) (span, bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	found, ok := r.spans[name]
	return found, ok
}

// TestOneTraceFromTheRequestToSES: the API and the worker are two processes, joined by the row of the message.
func TestOneTraceFromTheRequestToSES(t *testing.T) {
	t.Parallel()
	r := &receiver{spans: map[string]span{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	p := newProduction(t)
	p.environment = append(p.environment, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "OTEL_BSP_SCHEDULE_DELAY=50")
	_, c := p.serve(t, "--no-worker")
	p.verify(t, c, "acme.example")
	worker := launch(t, p.environment, "worker")
	worker.logged("working", "level")

	const trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/v1/emails", strings.NewReader(
		`{"from":"hello@acme.example","to":"you@example.com","subject":"Hi","text":"There."}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Traceparent", "00-"+trace+"-"+caller+"-01")
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatalf("send: %v %v", answer, err)
	}
	_ = answer.Body.Close()
	for _, expected := range []struct{ name, parent string }{{"sendEmail", ""}, {"accept", "sendEmail"}, {"send", "sendEmail"}} {
		eventually(t, "the span "+expected.name, func() bool { _, ok := r.found(expected.name); return ok })
		one, _ := r.found(expected.name)
		parent, _ := r.found(expected.parent)
		if expected.parent == "" {
			parent.id = caller
		}
		if one.trace != trace || one.parent != parent.id {
			t.Errorf("%s is %+v, want the trace %s and the parent %s", expected.name, one, trace, parent.id)
		}
	}
}
