package contracttests

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// unfinished begins a request whose body is announced and never arrives.
func (t *tenant) unfinished(size int) net.Conn {
	t.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.t.Context(), "tcp", strings.TrimPrefix(t.url, "http://"))
	must(t.t, err)
	t.t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{",
		singlePath, t.key, size)
	must(t.t, err)
	return conn
}

// untouched fails the test when it is read.
type untouched struct {
	io.Reader
	read atomic.Bool
}

func (u *untouched) Read(into []byte) (int, error) {
	u.read.Store(true)
	return u.Reader.Read(into)
}

// arriving begins a request whose body is announced, of which size bytes arrive and the rest does not.
func (t *tenant) arriving(size, announced int) net.Conn {
	t.t.Helper()
	conn := t.unfinished(announced)
	_, err := io.WriteString(conn, strings.Repeat(" ", size-1))
	must(t.t, err)
	return conn
}

// patient waits for bodies that never arrive longer than a test takes.
var patient = httpserver.BodyPace{Grace: time.Hour, Timeout: time.Hour}

// The bytes of bodies in flight are limited, for all and for each organization. Beyond the limit the response is 503, and
// small bodies still pass. A request's bytes are free again when it has ended, however it ended.
func TestBodyBytesInFlight(t *testing.T) {
	t.Parallel()
	const limit = 8 << 20
	s := newStack(t, options{bodies: limit, pace: patient})
	owner, from := s.newSender()
	slow := owner.arriving(3<<20, 4<<20)
	// The buffer of a body doubles as it arrives.
	const held = 4 << 20
	eventually(t, "the slow request is in hand", func() bool { return s.server.BodyBytesInFlight() == held })

	large := email(from, "text", strings.Repeat("x", 1<<20))
	body := &untouched{Reader: bytes.NewReader([]byte(asText(t, large)))}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+singlePath, body)
	must(t, err)
	request.ContentLength = int64(len(asText(t, large)))
	request.Header.Set("Authorization", "Bearer "+owner.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Expect", "100-continue")
	refused := s.do(request)
	refused.problem(http.StatusServiceUnavailable, api.ProblemCodeOverloaded)
	if refused.header.Get("Retry-After") == "" || body.read.Load() {
		t.Errorf("Retry-After %q, body read: %t", refused.header.Get("Retry-After"), body.read.Load())
	}
	// A client that writes everything before it reads finds the response, and can use the connection again.
	plain := asText(t, large)
	conn := owner.unfinished(len(plain))
	_, err = io.WriteString(conn, plain[1:])
	must(t, err)
	answers := bufio.NewReader(conn)
	for range 2 {
		answer, err := http.ReadResponse(answers, nil)
		must(t, err)
		_, err = io.Copy(io.Discard, answer.Body)
		must(t, err)
		if must(t, answer.Body.Close()); answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a client that reads late got %d", answer.StatusCode)
		}
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			singlePath, owner.key, len(plain), plain)
		must(t, err)
	}
	// A body of unknown length is refused when it no longer fits.
	s.chunked(owner, asText(t, large)).problem(http.StatusServiceUnavailable, api.ProblemCodeOverloaded)
	// A missing key and a body of the wrong type or size are refused first.
	s.exchange(http.MethodPost, singlePath, "", large).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
	owner.call(http.MethodPost, singlePath, large, "Content-Type", "text/plain").
		problem(http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType)
	owner.call(http.MethodPost, singlePath, bytes.Repeat([]byte(" "), 10<<20+1)).
		problem(http.StatusRequestEntityTooLarge, api.ProblemCodePayloadTooLarge)
	if taken := s.server.BodyBytesInFlight(); taken != held {
		t.Errorf("%d bytes are set aside", taken)
	}
	// Another organization has its own share.
	other, otherFrom := s.newSender()
	for range 3 {
		other.send(email(otherFrom, "text", strings.Repeat("x", 1<<20)))
	}
	s.chunked(other, asText(t, email(otherFrom))).is(http.StatusAccepted)

	must(t, slow.Close())
	eventually(t, "what the slow request took is free", func() bool { return s.server.BodyBytesInFlight() == 0 })
	owner.send(large)
}

// chunked sends a message as a body of unknown length.
func (s *stack) chunked(sender *tenant, message string) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+singlePath, io.MultiReader(strings.NewReader(message)))
	must(s.t, err)
	request.Header.Set("Authorization", "Bearer "+sender.key)
	request.Header.Set("Content-Type", "application/json")
	return s.do(request)
}

// Lengths that are only declared take nothing, however many there are, and one organization cannot take what others need.
func TestDeclaredLengthsTakeNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{pace: patient})
	attacker, _ := s.newSender()
	other, from := s.newSender()
	for range 11 {
		attacker.unfinished(10 << 20)
	}
	for range 72 {
		attacker.unfinished(256 << 10)
	}
	eventually(t, "all have begun", func() bool { return s.server.BodyBytesInFlight() == 83*firstRead })
	other.send(email(from, "text", strings.Repeat("x", 9<<20)))
}

// firstRead is the size of the buffer with which a large body begins.
const firstRead = 16 << 10

// A full queue is reported before any other check, the key included.
func TestFullQueueComesFirst(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{waiting: 1})
	owner, from := s.newSender()
	other, otherFrom := s.newSender()
	tx, err := s.store.Pool().Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE emails IN ACCESS EXCLUSIVE MODE")
	must(t, err)
	// One of the first organization is in flight and one waits, and the other organization has its own place.
	statuses := make(chan int, 3)
	for waiting := range 3 {
		caller, sender := owner, from
		if waiting == 2 {
			caller, sender = other, otherFrom
		}
		go func() { statuses <- caller.call(http.MethodPost, singlePath, email(sender)).status }()
		eventually(t, "one is in flight, the others wait", func() bool { return s.intake.Waiting() == waiting+1 })
	}
	refused := s.exchange(http.MethodPost, singlePath, "nobody's key", email(from))
	refused.problem(http.StatusServiceUnavailable, api.ProblemCodeOverloaded)
	if refused.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.exchange(http.MethodGet, "/v1/emails", "nobody's key", nil).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
	must(t, tx.Rollback(t.Context()))
	for range 3 {
		if status := <-statuses; status != http.StatusAccepted {
			t.Errorf("one that waited got %d", status)
		}
	}
}

// A body that makes no progress, or too little, ends with 408, and its bytes are free again.
func TestSlowBodiesTimeOut(t *testing.T) {
	t.Parallel()
	// Also a slow machine reads the bodies of the setup in this time.
	s := newStack(t, options{pace: httpserver.BodyPace{Grace: 3 * time.Second, BytesPerSecond: 1 << 20}})
	owner, from := s.newSender()
	stopped, dripping := owner.unfinished(1<<20), owner.unfinished(1<<20)
	go func() {
		drip := time.NewTicker(10 * time.Millisecond)
		defer drip.Stop()
		for range drip.C {
			if _, err := io.WriteString(dripping, " "); err != nil {
				return
			}
		}
	}()
	for _, conn := range []net.Conn{stopped, dripping} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+singlePath, nil)
		must(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), request)
		must(t, err)
		received, err := io.ReadAll(response.Body)
		must(t, err)
		must(t, response.Body.Close())
		answer{t, response.StatusCode, response.Header, received, exchange{}}.
			problem(http.StatusRequestTimeout, api.ProblemCodeRequestTimeout)
		if !response.Close {
			t.Error("the connection stays open")
		}
	}
	eventually(t, "what they took is free", func() bool { return s.server.BodyBytesInFlight() == 0 })
	owner.send(email(from))
}

// A slow handler is not ended by the deadline of the body that it was given.
func TestDeadlineOfABodyEndsWithIt(t *testing.T) {
	t.Parallel()
	// Also a slow machine reads the bodies of the setup in this time.
	const limit = 5 * time.Second
	s := newStack(t, options{pace: httpserver.BodyPace{Grace: limit, Timeout: limit}})
	owner, from := s.newSender()
	tx, err := s.store.Pool().Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE emails IN ACCESS EXCLUSIVE MODE")
	must(t, err)
	status := make(chan int, 1)
	go func() { status <- owner.call(http.MethodPost, singlePath, email(from)).status }()
	began := time.Now()
	eventually(t, "the deadline has passed", func() bool { return time.Since(began) > limit+limit/10 })
	must(t, tx.Rollback(t.Context()))
	if got := <-status; got != http.StatusAccepted {
		t.Errorf("answered %d", got)
	}
}

// blackhole is a nameserver that never answers. It counts what it was asked, repetitions once.
func blackhole(t *testing.T) (address string, asked *atomic.Int64) {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	asked = &atomic.Int64{}
	go func() {
		seen := map[string]bool{}
		packet := make([]byte, 512)
		for {
			n, _, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			// All but the id of the query.
			seen[string(packet[min(2, n):n])] = true
			asked.Store(int64(len(seen)))
		}
	}()
	return conn.LocalAddr().String(), asked
}

// No request holds a database connection while it waits for the network. The server has two connections. While ten
// verifications wait for the DNS, and two registrations and a removal wait for SES, mail is accepted as usual.
func TestWaitingForTheNetworkHoldsNoConnection(t *testing.T) {
	t.Parallel()
	nameserver, asked := blackhole(t)
	database, err := store.Open(t.Context(), store.Config{URL: storetest.URL(t), MaxConns: 2, Name: t.Name()})
	must(t, err)
	t.Cleanup(database.Close)
	s := newStack(t, options{store: database, nameserver: nameserver})
	owner := s.newTenant()
	from := "hello@sending.example"
	var registered []api.Domain
	for i := range 10 {
		registered = append(registered, owner.register(fmt.Sprintf("waiting%d.example", i)))
	}
	owner.register("sending.example")
	owner.execute(`UPDATE domains SET status = 'Verified' WHERE name = 'sending.example'`)
	owner.suppress("gone@example.com")
	s.sim.SetFaults(sessim.Faults{Hang: 3, Operations: []string{"CreateEmailIdentity", "DeleteSuppressedDestination"}})

	const waiting = 13
	ended := make(chan int, waiting)
	begin := func(method, path string, body any) {
		go func() { ended <- owner.call(method, path, body).status }()
	}
	for _, domain := range registered {
		begin(http.MethodPost, domainPath(domain)+"/verify", nil)
	}
	begin(http.MethodPost, domainsPath, map[string]any{"domain": "new1.example"})
	begin(http.MethodPost, domainsPath, map[string]any{"domain": "new2.example"})
	begin(http.MethodDelete, "/v1/suppressions/gone@example.com", nil)
	// Each verification looks up seven records.
	eventually(t, "all wait", func() bool { return asked.Load() >= 70 && s.sim.Faults().Hang == 0 })
	if held := database.Pool().Stat().AcquiredConns(); held != 0 {
		t.Errorf("%d connections are held", held)
	}
	began := time.Now()
	owner.send(email(from))
	t.Logf("accepted within %s", time.Since(began))
	if len(ended) > 0 {
		t.Errorf("%d of the requests had not waited", len(ended))
	}
	s.sim.ClearFaults()
	for range waiting {
		<-ended
	}
}

// TestUnreadResponses: clients that do not read their responses keep no other organization from reading, however many they
// are.
func TestUnreadResponses(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{})
	stalled, from := s.newSender()
	other, _ := s.newSender()
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprintf("x%d@%sexample.com", i, strings.Repeat(strings.Repeat("x", 59)+".", 3))
	}
	items := repeated(email(from, "to", strings.Join(many, ",")), 60)
	stalled.sends(60, 3000, batchPath, batchOf(items...))
	for range 16 * runtime.GOMAXPROCS(0) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		must(t, conn.(*net.TCPConn).SetReadBuffer(1))
		// Several responses are more than the system takes in for a client.
		request := fmt.Sprintf("GET %s?limit=100 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", singlePath, stalled.key)
		_, err = io.WriteString(conn, strings.Repeat(request, 16))
		must(t, err)
		// The first byte shows that the response is being written.
		_, err = conn.Read(make([]byte, 1))
		must(t, err)
	}
	for range 50 {
		other.exchange(http.MethodGet, singlePath, other.key, nil).is(http.StatusOK)
	}
}
