package webhook_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/webhook"
)

// answering returns a resolver whose DNS gives the answers in turn, the last one for ever.
func answering(t *testing.T, answers ...string) *net.Resolver {
	t.Helper()
	var asked atomic.Int32
	server := &miekg.Server{Handler: miekg.HandlerFunc(func(w miekg.ResponseWriter, question *miekg.Msg) {
		answer := new(miekg.Msg).SetReply(question)
		name, kind := question.Question[0].Name, question.Question[0].Qtype
		if kind == miekg.TypeA {
			for _, address := range strings.Fields(answers[min(int(asked.Add(1))-1, len(answers)-1)]) {
				if strings.Contains(address, ":") {
					continue
				}
				answer.Answer = append(answer.Answer, &miekg.A{Hdr: miekg.RR_Header{Name: name, Rrtype: kind, Class: miekg.ClassINET}, A: net.ParseIP(address)})
			}
		}
		if kind == miekg.TypeAAAA {
			for _, address := range strings.Fields(answers[0]) {
				if strings.Contains(address, ":") {
					answer.Answer = append(answer.Answer, &miekg.AAAA{Hdr: miekg.RR_Header{Name: name, Rrtype: kind, Class: miekg.ClassINET}, AAAA: net.ParseIP(address)})
				}
			}
		}
		_ = w.WriteMsg(answer)
	})}
	packets, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.PacketConn = packets
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.ShutdownContext(context.WithoutCancel(t.Context())) })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", packets.LocalAddr().String())
	}}
}

const refusedAddress = "The host has an address that is not globally routable; it was not connected to."

func TestPrivateAddressesAreNotConnectedTo(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, status(http.StatusOK))
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	closed := func(resolver *net.Resolver) *webhook.Sender {
		return r.sender(func(c *webhook.Config) {
			c.Policy.Prefixes, c.Resolver, c.Timeout = nil, resolver, time.Minute
		})
	}
	for _, literal := range []string{"127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "10.0.0.1", "0.0.0.0", "[::]", "[fe80::1]"} {
		if result := closed(nil).Send(t.Context(), delivery("https://"+literal+":"+port)); result.Failure != refusedAddress {
			t.Errorf("%s: %+v", literal, result)
		}
	}
	for _, resolved := range []string{"127.0.0.1", "10.0.0.1 127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::1", "fd00::1", "100.64.0.1"} {
		if result := closed(answering(t, resolved)).Send(t.Context(), delivery("https://example.com.:"+port)); result.Failure != refusedAddress {
			t.Errorf("resolved to %s: %+v", resolved, result)
		}
	}
	if r.reached.Load() != 0 {
		t.Errorf("it was reached %d times", r.reached.Load())
	}
	// Plain http is only for loopback, and only where it is allowed.
	dev := webhook.NewSender(webhook.Config{Policy: webhook.Policy{AllowLoopbackHTTP: true}})
	plain := httptest.NewServer(status(http.StatusNoContent))
	t.Cleanup(plain.Close)
	if result := dev.Send(t.Context(), delivery(plain.URL)); result.Failure != "" {
		t.Errorf("dev: %+v", result)
	}
	if result := dev.Send(t.Context(), delivery("http://10.0.0.1/")); result.Failure != refusedAddress {
		t.Errorf("dev, elsewhere: %+v", result)
	}
	if result := r.sender().Send(t.Context(), delivery(plain.URL)); result.Failure != refusedAddress {
		t.Errorf("plain http in production: %+v", result)
	}
}

// A name whose address was allowed before is judged by its present address whenever a connection is made, at least once a
// minute.
func TestRebinding(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, status(http.StatusOK))
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	sender := r.sender(func(c *webhook.Config) {
		c.Policy.Prefixes = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.Resolver = answering(t, "127.0.0.1", "127.0.0.2", "127.0.0.1")
		c.Now = func() time.Time { return now }
	})
	var failures []string
	for range 3 {
		failures = append(failures, sender.Send(t.Context(), delivery("https://example.com.:"+port)).Failure)
		now = now.Add(time.Minute)
	}
	if failures[0] != "" || failures[1] != refusedAddress || failures[2] != "" || r.reached.Load() != 2 {
		t.Errorf("%q, reached %d times", failures, r.reached.Load())
	}
}

func TestNamesThatDoNotExist(t *testing.T) {
	t.Parallel()
	zone := dns.NewStaticZone()
	server, err := dns.Serve(t.Context(), zone, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(context.WithoutCancel(t.Context())) })
	sender := webhook.NewSender(webhook.Config{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Addr())
	}}})
	if result := sender.Send(t.Context(), delivery("https://none.test.")); result.Failure != "The host name does not exist." {
		t.Errorf("%+v", result)
	}
}
