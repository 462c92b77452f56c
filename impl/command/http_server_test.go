package command_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestConnectionsAreLimited: a connection beyond the limit waits until another has closed.
func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	_, c := p.serve(t, "--max-connections=2")
	address := strings.TrimPrefix(c.url, "http://")
	var held []net.Conn
	for range 3 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		held = append(held, conn)
	}
	answered := make(chan int, len(held))
	for i, conn := range held {
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		go func() {
			if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && answer.Body.Close() == nil {
				answered <- i
			}
		}()
	}
	first, second := <-answered, <-answered
	// A response takes a millisecond.
	select {
	case third := <-answered:
		t.Fatalf("connections %d, %d and %d were answered", first, second, third)
	case <-time.After(300 * time.Millisecond):
	}
	if err := held[first].Close(); err != nil {
		t.Fatal(err)
	}
	<-answered
}

// TestHeaderIsLimited: a header that does not end is cut off by its size.
func TestHeaderIsLimited(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	_, c := p.serve(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Padding: "+strings.Repeat("x", 37<<10)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered %d, %v", answer.StatusCode, err)
	}
}
