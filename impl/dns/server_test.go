package dns_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/voostack/mailstack/impl/dns"
)

// ask sends one question without EDNS.
func ask(t *testing.T, network, addr, name string, qtype uint16) *mdns.Msg {
	t.Helper()
	return exchange(t, network, addr, new(mdns.Msg).SetQuestion(mdns.Fqdn(name), qtype))
}

func exchange(t *testing.T, network, addr string, question *mdns.Msg) *mdns.Msg {
	t.Helper()
	client := &mdns.Client{Net: network, Timeout: testTimeout}
	reply, _, err := client.ExchangeContext(t.Context(), question, addr)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestCodes(t *testing.T) {
	t.Parallel()
	zone := acme()
	zone.Set(
		dns.Record{Name: "badmx.acme.test", Type: dns.TypeMX, Value: "no exchanger"},
		dns.Record{Name: "badcname.acme.test", Type: dns.TypeCNAME, Value: "a..b"},
		dns.Record{Name: "badtype.acme.test", Type: "SRV", Value: "x"},
	)
	zone.Fail("refused.acme.test", dns.FailRefuse)
	addr := serve(t, zone).Addr()
	for _, test := range []struct {
		name           string
		qtype          uint16
		rcode, answers int
	}{
		{"mail.acme.test", mdns.TypeMX, mdns.RcodeSuccess, 1},
		{"mail.acme.test", mdns.TypeA, mdns.RcodeSuccess, 0},
		{"alias.acme.test", mdns.TypeTXT, mdns.RcodeSuccess, 3},
		{"dangling.acme.test", mdns.TypeTXT, mdns.RcodeNameError, 1},
		{"dangling.acme.test", mdns.TypeCNAME, mdns.RcodeSuccess, 1},
		{"unknown.acme.test", mdns.TypeTXT, mdns.RcodeNameError, 0},
		{"refused.acme.test", mdns.TypeTXT, mdns.RcodeRefused, 0},
		{"badmx.acme.test", mdns.TypeMX, mdns.RcodeServerFailure, 0},
		{"badcname.acme.test", mdns.TypeCNAME, mdns.RcodeServerFailure, 0},
		{"badtype.acme.test", mdns.TypeSRV, mdns.RcodeServerFailure, 0},
	} {
		for _, network := range []string{"udp", "tcp"} {
			reply := ask(t, network, addr, test.name, test.qtype)
			if reply.Rcode != test.rcode || len(reply.Answer) != test.answers {
				t.Errorf("%s over %s: %v", test.name, network, reply)
			}
		}
	}

	chaos := new(mdns.Msg).SetQuestion("mail.acme.test.", mdns.TypeTXT)
	chaos.Question[0].Qclass = mdns.ClassCHAOS
	if reply := exchange(t, "udp", addr, chaos); reply.Rcode != mdns.RcodeRefused {
		t.Errorf("class CHAOS: %v", reply)
	}
	notify := new(mdns.Msg).SetNotify("acme.test.")
	if reply := exchange(t, "udp", addr, notify); reply.Rcode != mdns.RcodeNotImplemented {
		t.Errorf("notify: %v", reply)
	}
}

func TestTTLAndCaseOfTheQuestion(t *testing.T) {
	t.Parallel()
	reply := ask(t, "udp", serve(t, acme()).Addr(), "A._domainKEY.acme.test", mdns.TypeCNAME)
	if len(reply.Answer) != 1 || reply.Answer[0].Header().Ttl != 1800 || reply.Answer[0].Header().Name != "A._domainKEY.acme.test." {
		t.Errorf("%v", reply)
	}
}

func TestStandardLibraryUnderstandsServer(t *testing.T) {
	t.Parallel()
	addr := serve(t, acme()).Addr()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	texts, err := resolver.LookupTXT(ctx, "alias.acme.test.")
	if err != nil || len(texts) != 1 {
		t.Errorf("TXT: %q, %v", texts, err)
	}
	if _, err := resolver.LookupMX(ctx, "mail.acme.test."); err != nil {
		t.Errorf("MX: %v", err)
	}
	_, err = resolver.LookupTXT(ctx, "unknown.acme.test.")
	var failure *net.DNSError
	if !errors.As(err, &failure) || !failure.IsNotFound {
		t.Errorf("unknown name: %v", err)
	}
}

func TestStaticZone(t *testing.T) {
	t.Parallel()
	zone := acme()
	resolver := resolver(t, serve(t, zone).Addr(), testTimeout)
	zone.Set(dns.Record{Name: "MAIL.acme.test.", Type: dns.TypeTXT, Value: "changed"})
	if got, err := resolver.TXT(t.Context(), "mail.acme.test"); err != nil || len(got) != 1 || got[0] != "changed" {
		t.Errorf("after a change: %q, %v", got, err)
	}
	if got, err := resolver.MX(t.Context(), "mail.acme.test"); err != nil || len(got) != 1 {
		t.Errorf("the other type: %q, %v", got, err)
	}
	zone.Fail("mail.acme.test", dns.FailServfail)
	zone.Remove("Mail.acme.test")
	if got, err := resolver.MX(t.Context(), "mail.acme.test"); err != nil || len(got) != 0 {
		t.Errorf("after removal: %q, %v", got, err)
	}
}

// blockingZone answers when its context ends.
type blockingZone struct{ asked chan struct{} }

func (z blockingZone) Records(ctx context.Context, _, _ string) ([]dns.Record, error) {
	close(z.asked)
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestCloseEndsWhatTheZoneDoes(t *testing.T) {
	t.Parallel()
	zone := blockingZone{asked: make(chan struct{})}
	server, err := dns.Serve(t.Context(), zone, "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	resolver := resolver(t, server.Addr(), testTimeout)
	looked := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, err := resolver.TXT(ctx, "acme.test")
		looked <- err
	}()
	<-zone.asked
	begun := time.Now()
	closing, done := context.WithTimeout(t.Context(), testTimeout)
	defer done()
	if err := server.Close(closing); err != nil {
		t.Error(err)
	}
	if waited := time.Since(begun); waited > 4*time.Second {
		t.Errorf("closing waited %s for the zone", waited)
	}
	cancel()
	if err := <-looked; err == nil {
		t.Error("the look-up succeeded")
	}
	// The port is free again, for both protocols.
	again, err := dns.Serve(t.Context(), acme(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(closing); err != nil {
		t.Error(err)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	addr := serve(t, acme()).Addr()
	if _, err := dns.Serve(t.Context(), acme(), addr, nil); err == nil {
		t.Error("a second server took the port")
	}
	if _, err := dns.Serve(t.Context(), acme(), "nonsense", nil); err == nil {
		t.Error("an address without port is accepted")
	}
}
