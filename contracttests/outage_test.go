package contracttests

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// acceptable returns a body with which the operation succeeds for a sender.
func acceptable(op operation, from string) any {
	switch op.id {
	case "sendEmail":
		return email(from)
	case "sendBatch":
		return map[string]any{"emails": []any{email(from), email(from)}}
	default:
		return op.body()
	}
}

func TestPostgresIsGone(t *testing.T) {
	t.Parallel()
	postgres := storetest.Server(t)
	s := newStack(t, options{store: storetest.Open(t, postgres.DSN(devdb.Database)), worker: true})
	owner, from := s.newSender()
	must(t, postgres.Kill())
	for _, op := range operations(t, secured) {
		start := time.Now()
		answer := owner.call(op.method, op.absent(), acceptable(op, from))
		found := answer.problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
		if answer.header.Get("Retry-After") == "" || time.Since(start) > 10*time.Second {
			t.Errorf("%s: Retry-After %q after %v", op.id, answer.header.Get("Retry-After"), time.Since(start))
		}
		if !strings.Contains(found.Detail, "database") || strings.Contains(found.Detail, "postgres") || found.Errors != nil {
			t.Errorf("%s: %+v", op.id, found)
		}
		// Without the database a key cannot be checked, but text that is not a key is refused all the same.
		s.exchange(op.method, op.absent(), "no key", op.body()).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
	}
	must(t, postgres.Restart(t.Context()))
	for _, op := range operations(t, secured) {
		if status := owner.call(op.method, op.absent(), acceptable(op, from)).status; status >= http.StatusInternalServerError {
			t.Errorf("%s after the restart: %d", op.id, status)
		}
	}
	if sent := owner.usage().EmailsSent; sent != 3 {
		t.Errorf("%d emails were counted, want those accepted after the restart", sent)
	}
	id := owner.send(email(from))
	eventually(t, "the workers go on", func() bool { return owner.read(id).Status == api.EmailStatusSent })
}

// Postgres dies under load. Each request is either done, and stays done, or refused with nothing stored.
func TestPostgresDiesUnderLoad(t *testing.T) {
	t.Parallel()
	postgres := storetest.Server(t)
	s := newStack(t, options{store: storetest.Open(t, postgres.DSN(devdb.Database))})
	owner, from := s.newSender()
	killed := make(chan error, 1)
	accepted := make(chan uuid.UUID, 200)
	statuses := concurrently(200, func(i int) int {
		if i == 60 {
			killed <- postgres.Kill()
			return 0
		}
		answer := owner.call(http.MethodPost, "/v1/emails", email(from))
		if answer.status == http.StatusAccepted {
			accepted <- decoded[api.QueuedEmail](answer).ID
		}
		return answer.status
	})
	must(t, <-killed)
	close(accepted)
	if statuses[http.StatusAccepted]+statuses[http.StatusServiceUnavailable] != 199 {
		t.Errorf("answers: %v", statuses)
	}
	must(t, postgres.Restart(t.Context()))
	for id := range accepted {
		owner.read(id)
	}
	// A response lost with the connection may hide a stored message; every message with a response is stored.
	usage := owner.usage()
	var stored, due int64
	must(t, s.store.Pool().QueryRow(t.Context(), "SELECT (SELECT count(*) FROM emails), (SELECT count(*) FROM sends)").Scan(&stored, &due))
	if stored != due || stored != usage.EmailsSent || stored < int64(statuses[http.StatusAccepted]) {
		t.Errorf("%d stored, %d due, %d counted, %d answered", stored, due, usage.EmailsSent, statuses[http.StatusAccepted])
	}
}

func TestSESIsGone(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sessim.Faults{
		"errors": {Status5xx: -1}, "throttles": {Throttle: -1}, "cuts connections": {DropRequest: -1}, "hangs": {Hang: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, options{worker: true})
			owner, from := s.newSender()
			fault.Operations = []string{
				"SendEmail", "CreateEmailIdentity", "GetEmailIdentity", "PutEmailIdentityMailFromAttributes", "DeleteEmailIdentity", "GetAccount",
			}
			s.sim.SetFaults(fault)
			domain := map[string]any{"domain": "soon.example"}
			owner.call(http.MethodPost, domainsPath, domain).problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
			var ids []uuid.UUID
			for range 5 {
				ids = append(ids, owner.send(email(from)))
			}
			// Everything that does not need SES works as usual.
			s.exchange(http.MethodGet, "/readyz", "", nil).is(http.StatusOK)
			if usage := owner.usage(); usage.EmailsSent != 5 {
				t.Errorf("%d emails were counted", usage.EmailsSent)
			}
			for _, id := range ids {
				if found := owner.read(id); found.Status != api.EmailStatusQueued || found.ErrorMessage != nil {
					t.Errorf("the message is %+v", found)
				}
			}
			s.sim.ClearFaults()
			owner.call(http.MethodPost, domainsPath, domain).is(http.StatusCreated)
			for _, id := range ids {
				eventually(t, "a message is sent with SES back", func() bool {
					if owner.read(id).Status == api.EmailStatusSent {
						return true
					}
					s.clock.advance(200 * time.Millisecond) // the next attempt is some time away
					return false
				})
			}
			for _, id := range ids {
				if found := owner.read(id); found.ProviderMessageID == nil || found.ErrorMessage != nil {
					t.Errorf("the message is %+v", found)
				}
			}
		})
	}
}

// slowBody is a body that ends when the test releases it.
type slowBody struct {
	first   io.Reader
	started chan struct{}
	finish  chan string
	rest    io.Reader
}

func (b *slowBody) Read(into []byte) (int, error) {
	if n, err := b.first.Read(into); n > 0 || err == nil {
		return n, nil
	}
	if b.rest == nil {
		close(b.started)
		b.rest = strings.NewReader(<-b.finish)
	}
	return b.rest.Read(into)
}

func TestDrainFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	s.clock.advance(time.Hour)
	before := s.clock.now()
	body := &slowBody{
		first:   strings.NewReader(`{"from":"` + from + `","to":"a@example.com","subject":"slow",`),
		started: make(chan struct{}), finish: make(chan string, 1),
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/emails", body)
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+owner.key)
	request.Header.Set("Content-Type", "application/json")
	underWay := make(chan answer, 1)
	go func() {
		defer close(underWay)
		underWay <- s.do(request)
	}()
	<-body.started
	// The request is in flight once its key has been looked up, which is recorded.
	eventually(t, "the request is past the checks before its body", func() bool {
		must(t, s.server.FlushLastUsed(t.Context()))
		row, err := s.store.Queries().APIKeyGetByPrefix(t.Context(), owner.key[8:16])
		must(t, err)
		return row.APIKey.LastUsedAt.After(before)
	})
	s.server.Drain()
	owner.call(http.MethodPost, "/v1/emails", email(from)).problem(http.StatusServiceUnavailable, api.ProblemCodeDraining)
	body.finish <- `"text":"Hi"}`
	finished, answered := <-underWay
	if !answered {
		t.Fatal("the request under way was cut off")
	}
	decoded[api.QueuedEmail](finished.is(http.StatusAccepted))
	var stored int
	must(t, s.store.Pool().QueryRow(t.Context(), "SELECT count(*) FROM sends").Scan(&stored))
	if stored != 1 {
		t.Errorf("%d messages are queued", stored)
	}
}

// A panic gets a problem that reveals nothing about it; the log has everything needed to find the defect.
func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	server, err := rest.New(rest.Config{
		Spec: prepared(t), Now: time.Now, NewID: uuid.New, Random: rand.Reader, Log: slog.New(slog.NewJSONHandler(&log, nil)),
		ExtraRoutes: []httpserver.Route{{Method: http.MethodGet, Path: "/defect/:id", Handler: http.HandlerFunc(defect)}},
	})
	must(t, err)
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/defect/somebody@example.com", nil)
	request.Header.Set("X-Request-Id", "incident-1")
	server.ServeHTTP(recorder, request)
	answer{t: t, status: recorder.Code, header: recorder.Header(), body: recorder.Body.Bytes()}.
		problem(http.StatusInternalServerError, api.ProblemCodeInternalError)
	if strings.Contains(recorder.Body.String(), "index out of range") {
		t.Errorf("the answer tells of the defect: %s", recorder.Body)
	}
	for _, wanted := range []string{"index out of range", "contracttests.defect", "incident-1", "/defect/:id"} {
		if !strings.Contains(log.String(), wanted) {
			t.Errorf("the log does not name %s: %s", wanted, log.String())
		}
	}
	if strings.Contains(log.String(), "somebody") {
		t.Errorf("the log holds the URL: %s", log.String())
	}
}

func defect(_ http.ResponseWriter, r *http.Request) { _ = strings.Split(r.URL.Path, "/")[7] }
