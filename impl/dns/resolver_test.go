package dns_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/dns"
)

// testTimeout bounds what must happen soon; only a failing test waits that long.
const testTimeout = 20 * time.Second

func serve(t *testing.T, zone dns.Zone) *dns.Server {
	t.Helper()
	server, err := dns.Serve(t.Context(), zone, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return server
}

func resolver(t *testing.T, addr string, timeout time.Duration) *dns.Resolver {
	t.Helper()
	resolver, err := dns.New(dns.Config{Server: addr, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return resolver
}

func acme() *dns.StaticZone {
	return dns.NewStaticZone(
		dns.Record{Name: "a._domainkey.acme.test", Type: dns.TypeCNAME, Value: "A.dkim.amazonses.com.", TTL: 1800},
		dns.Record{Name: "mail.acme.test", Type: dns.TypeMX, Value: "10 Feedback-SMTP.us-east-1.amazonses.com"},
		dns.Record{Name: "mail.acme.test", Type: dns.TypeTXT, Value: "v=spf1 include:amazonses.com ~all"},
		dns.Record{Name: "alias.acme.test", Type: dns.TypeCNAME, Value: "second.acme.test"},
		dns.Record{Name: "second.acme.test", Type: dns.TypeCNAME, Value: "mail.acme.test"},
		dns.Record{Name: "loop.acme.test", Type: dns.TypeCNAME, Value: "loop.acme.test"},
		dns.Record{Name: "dangling.acme.test", Type: dns.TypeCNAME, Value: "gone.example"},
	)
}

// observe looks a name up and returns the values as text.
func observe(ctx context.Context, resolver *dns.Resolver, rrtype, name string) ([]string, error) {
	switch rrtype {
	case dns.TypeCNAME:
		return resolver.CNAME(ctx, name)
	case dns.TypeTXT:
		return resolver.TXT(ctx, name)
	}
	exchangers, err := resolver.MX(ctx, name)
	var values []string
	for _, mx := range exchangers {
		values = append(values, mx.String())
	}
	return values, err
}

func TestLookups(t *testing.T) {
	t.Parallel()
	resolver := resolver(t, serve(t, acme()).Addr(), testTimeout)
	const mx, spf = "10 feedback-smtp.us-east-1.amazonses.com", "v=spf1 include:amazonses.com ~all"
	for _, test := range []struct{ rrtype, name, want string }{
		{dns.TypeCNAME, "a._domainkey.acme.test", "a.dkim.amazonses.com"},
		{dns.TypeCNAME, "A._DomainKey.ACME.test.", "a.dkim.amazonses.com"},
		{dns.TypeCNAME, "alias.acme.test", "second.acme.test"},
		{dns.TypeCNAME, "mail.acme.test", ""},
		{dns.TypeCNAME, "unknown.acme.test", ""},
		{dns.TypeMX, "mail.acme.test", mx},
		{dns.TypeMX, "alias.acme.test", mx},
		{dns.TypeMX, "unknown.acme.test", ""},
		{dns.TypeTXT, "mail.acme.test", spf},
		{dns.TypeTXT, "MAIL.Acme.Test", spf},
		{dns.TypeTXT, "Alias.acme.test", spf},
		{dns.TypeTXT, "dangling.acme.test", ""},
		{dns.TypeTXT, "acme.test", ""},
	} {
		got, err := observe(t.Context(), resolver, test.rrtype, test.name)
		if err != nil || strings.Join(got, "|") != test.want {
			t.Errorf("%s of %s: %q, %v; want %q", test.rrtype, test.name, got, err, test.want)
		}
	}
}

func TestTextsArriveUnchanged(t *testing.T) {
	t.Parallel()
	zone := dns.NewStaticZone()
	resolver := resolver(t, serve(t, zone).Addr(), testTimeout)
	var names atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		name := strconv.FormatInt(names.Add(1), 10) + ".acme.test"
		text := rapid.OneOf(
			rapid.StringMatching(`[ -~]{0,900}`),
			rapid.StringMatching(`[\\"0-9é;€\n]{0,400}`),
		).Draw(t, "text")
		zone.Set(dns.Record{Name: name, Type: dns.TypeTXT, Value: text})
		got, err := resolver.TXT(context.Background(), name)
		if err != nil || len(got) != 1 || got[0] != text {
			t.Fatalf("got %q, %v; want %q", got, err, text)
		}
	})
}

func TestTextThatIsNotText(t *testing.T) {
	t.Parallel()
	zone := dns.NewStaticZone(dns.Record{Name: "acme.test", Type: dns.TypeTXT, Value: "a\x00b\xffc\x1b"})
	got, err := resolver(t, serve(t, zone).Addr(), testTimeout).TXT(t.Context(), "acme.test")
	if err != nil || len(got) != 1 || got[0] != "a\ufffdb\ufffdc\ufffd" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestLargeAnswersComeOverTCP(t *testing.T) {
	t.Parallel()
	zone := dns.NewStaticZone()
	var records []dns.Record
	for i := range 10 {
		text := strconv.Itoa(i) + strings.Repeat("x", 199)
		records = append(records, dns.Record{Name: "big.acme.test", Type: dns.TypeTXT, Value: text})
	}
	zone.Set(records...)
	server := serve(t, zone)
	got, err := resolver(t, server.Addr(), testTimeout).TXT(t.Context(), "big.acme.test")
	if err != nil || len(got) != 10 {
		t.Fatalf("got %d texts, %v", len(got), err)
	}
	for i, text := range got {
		if text != records[i].Value {
			t.Errorf("text %d is %q", i, text)
		}
	}
	if reply := ask(t, "udp", server.Addr(), "big.acme.test", mdns.TypeTXT); !reply.Truncated {
		t.Error("the answer over UDP is not marked as truncated")
	}
	if reply := ask(t, "tcp", server.Addr(), "big.acme.test", mdns.TypeTXT); reply.Truncated {
		t.Error("the answer over TCP is truncated")
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	zone := acme()
	zone.Fail("broken.acme.test", dns.FailServfail)
	zone.Fail("refused.acme.test", dns.FailRefuse)
	zone.Fail("hanging.acme.test", dns.FailHang)
	addr := serve(t, zone).Addr()
	patient, hasty := resolver(t, addr, testTimeout), resolver(t, addr, 50*time.Millisecond)
	for name, reason := range map[string]string{
		"broken.acme.test":  "SERVFAIL",
		"refused.acme.test": "REFUSED",
		"hanging.acme.test": "in time",
		"loop.acme.test":    "SERVFAIL",
	} {
		for _, rrtype := range []string{dns.TypeCNAME, dns.TypeTXT, dns.TypeMX} {
			if name == "loop.acme.test" && rrtype == dns.TypeCNAME {
				continue
			}
			resolver := patient
			if name == "hanging.acme.test" {
				resolver = hasty
			}
			got, err := observe(t.Context(), resolver, rrtype, name)
			var failure *dns.Error
			if !errors.As(err, &failure) || !failure.Temporary || failure.Name != name || failure.Type != rrtype {
				t.Errorf("%s of %s: %q, %v", rrtype, name, got, err)
				continue
			}
			if !strings.Contains(failure.Reason, reason) || strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("%s of %s: %v", rrtype, name, err)
			}
		}
	}
	zone.Fail("broken.acme.test", dns.FailNone)
	if got, err := patient.TXT(t.Context(), "broken.acme.test"); err != nil || len(got) != 0 {
		t.Errorf("after the failure: %q, %v", got, err)
	}
}

func TestInvalidNamesAreNotAsked(t *testing.T) {
	t.Parallel()
	resolver := resolver(t, serve(t, acme()).Addr(), testTimeout)
	for _, name := range []string{"", ".", "a..b", ".acme.test", `m\097il.acme.test`, strings.Repeat("a", 64) + ".test", strings.Repeat("abc.", 70)} {
		_, err := resolver.TXT(t.Context(), name)
		var failure *dns.Error
		if !errors.As(err, &failure) || failure.Temporary {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestContextEndsLookup(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	addr := handle(t, func(mdns.ResponseWriter, *mdns.Msg) { asked <- struct{}{} })
	resolver := resolver(t, addr, time.Hour)

	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := resolver.TXT(ctx, "acme.test"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := resolver.TXT(ctx, "acme.test")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("deadline: %v", err)
	}
}

func TestLostPacketIsAskedAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	addr := handle(t, func(writer mdns.ResponseWriter, question *mdns.Msg) {
		if asked.Add(1) > 1 {
			send(t, writer, new(mdns.Msg).SetReply(question), "acme.test. 60 IN TXT hello")
		}
	})
	got, err := resolver(t, addr, time.Second).TXT(t.Context(), "acme.test")
	if err != nil || len(got) != 1 || got[0] != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestAnswersMustMatch(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(*mdns.Msg){
		"another name":  func(m *mdns.Msg) { m.Question[0].Name = "evil.test." },
		"another type":  func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeMX },
		"another class": func(m *mdns.Msg) { m.Question[0].Qclass = mdns.ClassCHAOS },
		"another id":    func(m *mdns.Msg) { m.Id++ },
		"no question":   func(m *mdns.Msg) { m.Question = nil },
		"no response":   func(m *mdns.Msg) { m.Response = false },
	} {
		addr := handle(t, func(writer mdns.ResponseWriter, question *mdns.Msg) {
			reply := new(mdns.Msg).SetReply(question)
			forge(reply)
			send(t, writer, reply, "acme.test. 60 IN TXT hello")
		})
		got, err := resolver(t, addr, 50*time.Millisecond).TXT(t.Context(), "acme.test")
		var failure *dns.Error
		if !errors.As(err, &failure) || len(got) != 0 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestUnrelatedRecordsAreIgnored(t *testing.T) {
	t.Parallel()
	addr := handle(t, func(writer mdns.ResponseWriter, question *mdns.Msg) {
		send(t, writer, new(mdns.Msg).SetReply(question),
			"evil.test. 60 IN TXT evil", "acme.test. 60 CH TXT chaos", "acme.test. 60 IN CNAME two.test.",
			"two.test. 60 IN TXT two", "two.test. 60 IN MX 10 two.test.", "evil.test. 60 IN CNAME evil.test.")
	})
	resolver := resolver(t, addr, testTimeout)
	for rrtype, want := range map[string]string{dns.TypeTXT: "two", dns.TypeMX: "10 two.test", dns.TypeCNAME: "two.test"} {
		got, err := observe(t.Context(), resolver, rrtype, "acme.test")
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, %v", rrtype, got, err)
		}
	}
}

func TestNumberOfRecordsIsBounded(t *testing.T) {
	t.Parallel()
	var records []dns.Record
	for i := range 300 {
		records = append(records, dns.Record{Name: "acme.test", Type: dns.TypeTXT, Value: strconv.Itoa(i)})
	}
	got, err := resolver(t, serve(t, dns.NewStaticZone(records...)).Addr(), testTimeout).TXT(t.Context(), "acme.test")
	if err != nil || len(got) != 100 {
		t.Fatalf("got %d texts, %v", len(got), err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	zone := acme()
	addr := serve(t, zone).Addr()
	if err := resolver(t, addr, testTimeout).Check(t.Context()); err != nil {
		t.Error(err)
	}
	zone.Fail(".", dns.FailHang)
	if err := resolver(t, addr, 50*time.Millisecond).Check(t.Context()); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("with a dead server: %v", err)
	}
}

func TestServerAddresses(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"9.9.9.9", "9.9.9.9:5353", "::1", "[::1]:53", "dns.acme.test"} {
		if _, err := dns.New(dns.Config{Server: server}); err != nil {
			t.Errorf("%s: %v", server, err)
		}
	}
	for _, server := range []string{":53", "1.2.3.4:", "a:b:c", "[::1"} {
		if _, err := dns.New(dns.Config{Server: server}); err == nil {
			t.Errorf("%s is accepted", server)
		}
	}
}

// handle runs a server over UDP that answers as the function says.
func handle(t *testing.T, handler mdns.HandlerFunc) string {
	t.Helper()
	var config net.ListenConfig
	packets, err := config.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	ended := make(chan error, 1)
	server := &mdns.Server{PacketConn: packets, Handler: handler, NotifyStartedFunc: func() { close(started) }}
	go func() { ended <- server.ActivateAndServe() }()
	select {
	case <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return packets.LocalAddr().String()
}

func send(t *testing.T, writer mdns.ResponseWriter, reply *mdns.Msg, records ...string) {
	for _, record := range records {
		rr, err := mdns.NewRR(record)
		if err != nil {
			t.Error(err)
			return
		}
		reply.Answer = append(reply.Answer, rr)
	}
	if err := writer.WriteMsg(reply); err != nil {
		t.Error(err)
	}
}
