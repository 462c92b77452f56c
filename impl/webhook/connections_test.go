package webhook_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/webhook"
)

type connectionKey struct{}

// countingConnections starts an endpoint whose handler learns which request of its connection it has, from 1 on. The
// returned counter counts connections.
func countingConnections(t *testing.T, handle func(w http.ResponseWriter, nth int32)) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	connections := &atomic.Int32{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		requests, ok := request.Context().Value(connectionKey{}).(*atomic.Int32)
		if !ok {
			panic("no counter")
		}
		handle(w, requests.Add(1))
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		connections.Add(1)
		return context.WithValue(ctx, connectionKey{}, &atomic.Int32{})
	}
	server.Start()
	t.Cleanup(server.Close)
	return server, connections
}

func plainSender(change ...func(*webhook.Config)) *webhook.Sender {
	config := webhook.Config{Policy: webhook.Policy{AllowLoopbackHTTP: true}}
	for _, change := range change {
		change(&config)
	}
	return webhook.NewSender(config)
}

func TestConnectionsAreKeptForAMinute(t *testing.T) {
	t.Parallel()
	server, connections := countingConnections(t, func(w http.ResponseWriter, _ int32) { w.WriteHeader(http.StatusNoContent) })
	now := time.Now()
	sender := plainSender(func(c *webhook.Config) { c.Now = func() time.Time { return now } })
	for i, want := range []int32{1, 1, 1, 2, 2} {
		if i == 3 {
			now = now.Add(time.Minute)
		}
		if result := sender.Send(t.Context(), delivery(server.URL)); result.Failure != "" || connections.Load() != want {
			t.Errorf("attempt %d: %+v, over %d connections, want %d", i+1, result, connections.Load(), want)
		}
	}
}

// An endpoint may close a connection at any time, also while the next request is on its way.
func TestKeptConnectionThatIsClosedFailsNoAttempt(t *testing.T) {
	t.Parallel()
	server, connections := countingConnections(t, func(w http.ResponseWriter, nth int32) {
		if nth == 1 {
			return
		}
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_ = connection.Close()
	})
	sender := plainSender()
	for want := range int32(4) {
		if result := sender.Send(t.Context(), delivery(server.URL)); result.Failure != "" || connections.Load() != want+1 {
			t.Errorf("%+v over %d connections", result, connections.Load())
		}
	}
}

// raw starts an endpoint that answers the first bytes of each connection by writing what it likes, until the connection is
// closed by the other side.
func raw(t *testing.T, answer func(connection net.Conn)) (url string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = connection.Close() }()
				if _, err := connection.Read(make([]byte, 4096)); err == nil {
					answer(connection)
				}
				_, _ = io.Copy(io.Discard, connection)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// drip writes text every few milliseconds until the connection is closed.
func drip(connection net.Conn, text string) {
	for ticks := time.NewTicker(5 * time.Millisecond); ; <-ticks.C {
		if _, err := io.WriteString(connection, text); err != nil {
			ticks.Stop()
			return
		}
	}
}

func TestAttemptsEndHoweverTheEndpointAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  func(connection net.Conn)
		failure string
	}{
		"headers byte by byte": {func(connection net.Conn) {
			_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nX-Slow: ")
			drip(connection, "a")
		}, "No answer came in time."},
		"nothing but interim answers": {func(connection net.Conn) {
			drip(connection, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		}, "No answer came in time."},
		"body byte by byte": {func(connection net.Conn) {
			_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
			drip(connection, "a")
		}, ""},
		"body without an end": {func(connection net.Conn) {
			_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\n\r\nab")
		}, ""},
		"chunks without an end": {func(connection net.Conn) {
			_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			drip(connection, "1\r\na\r\n")
		}, ""},
		"trailers without an end": {func(connection net.Conn) {
			_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
			drip(connection, "X-Trailer: a\r\n")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sender := plainSender(func(c *webhook.Config) { c.Timeout = 5 * time.Second })
			result := sender.Send(t.Context(), delivery(raw(t, c.answer)))
			if result.Failure != c.failure {
				t.Errorf("%+v", result)
			}
			if c.failure == "" && (result.Status != http.StatusOK || len(result.Excerpt) == 0) {
				t.Errorf("%+v", result)
			}
		})
	}
}

func TestNameThatIsLookedUpSlowly(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	sender := webhook.NewSender(webhook.Config{Timeout: 200 * time.Millisecond, Resolver: &net.Resolver{
		PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", silent.LocalAddr().String())
		},
	}})
	result := sender.Send(t.Context(), delivery("https://slow.example."))
	if result.Failure != "No answer came in time." {
		t.Errorf("%+v", result)
	}
}
