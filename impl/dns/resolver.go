package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	defaultTimeout = 2 * time.Second
	resolvConf     = "/etc/resolv.conf"

	// maxServers is how many servers of resolv.conf are used, as in resolv.conf(5).
	maxServers = 3
	// maxAnswerRecords bounds what one answer can make us read and keep.
	maxAnswerRecords = 100
	// maxChain bounds how many CNAMEs are followed within an answer.
	maxChain = 8
)

// Config configures a [Resolver].
type Config struct {
	// Server is the recursive resolver to ask, "host" or "host:port" (port 53
	// by default). Empty means the servers of /etc/resolv.conf, in order.
	Server string
	// Timeout limits each exchange with a server; 2 s when zero. A look-up
	// makes up to three exchanges, and each may be repeated over TCP.
	Timeout time.Duration
	// Log receives failed exchanges at debug level; nil discards them.
	Log *slog.Logger
}

// Resolver looks up single record sets. It applies no search domains, keeps no
// cache, and is safe for concurrent use.
//
// A name or record set that does not exist is an empty result. Whatever leaves
// that open (SERVFAIL, REFUSED, no answer in time) is an [*Error].
type Resolver struct {
	attempts []string // addresses in the order they are asked
	timeout  time.Duration
	log      *slog.Logger
}

// New makes a Resolver. It fails when the server's address is malformed, or
// when none is given and /etc/resolv.conf names none. It asks nothing yet; see
// [Resolver.Check].
func New(config Config) (*Resolver, error) {
	servers, err := serverAddresses(config.Server)
	if err != nil {
		return nil, err
	}
	if len(servers) == 1 {
		// UDP loses packets: a lone server gets a second chance.
		servers = append(servers, servers[0])
	}
	resolver := &Resolver{attempts: servers, timeout: config.Timeout, log: config.Log}
	if resolver.timeout <= 0 {
		resolver.timeout = defaultTimeout
	}
	if resolver.log == nil {
		resolver.log = slog.New(slog.DiscardHandler)
	}
	return resolver, nil
}

// CNAME gives the target of the CNAME at exactly this name. It follows nothing.
func (r *Resolver) CNAME(ctx context.Context, name string) ([]string, error) {
	answer, err := r.lookup(ctx, name, mdns.TypeCNAME)
	if err != nil {
		return nil, err
	}
	var targets []string
	for _, record := range recordsAt(answer, name, mdns.TypeCNAME) {
		if cname, ok := record.(*mdns.CNAME); ok {
			targets = append(targets, canonical(cname.Target))
		}
	}
	return targets, nil
}

// TXT gives the texts at the name, or where its CNAMEs lead. The strings of
// one record are joined without a separator (RFC 7208, section 3.3). Bytes
// that are not text become U+FFFD, so that any text can be stored.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	answer, err := r.lookup(ctx, name, mdns.TypeTXT)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, record := range resolved(answer, name, mdns.TypeTXT) {
		if txt, ok := record.(*mdns.TXT); ok {
			texts = append(texts, joinText(txt.Txt))
		}
	}
	return texts, nil
}

// MX gives the mail exchangers of the name, or of where its CNAMEs lead, in no
// particular order. The host of a null MX (RFC 7505) is empty.
func (r *Resolver) MX(ctx context.Context, name string) ([]MX, error) {
	answer, err := r.lookup(ctx, name, mdns.TypeMX)
	if err != nil {
		return nil, err
	}
	var exchangers []MX
	for _, record := range resolved(answer, name, mdns.TypeMX) {
		if mx, ok := record.(*mdns.MX); ok {
			exchangers = append(exchangers, MX{Preference: mx.Preference, Host: canonical(mx.Mx)})
		}
	}
	return exchangers, nil
}

// Check asks for the root's name servers, which any working resolver answers.
// Its error is for operators: it names the configured servers.
func (r *Resolver) Check(ctx context.Context) error {
	if _, err := r.query(ctx, ".", mdns.TypeNS); err != nil {
		return fmt.Errorf("check resolver %s: %w", strings.Join(slices.Compact(slices.Clone(r.attempts)), ", "), err)
	}
	return nil
}

func (r *Resolver) lookup(ctx context.Context, name string, qtype uint16) ([]mdns.RR, error) {
	// A backslash would be read as an escape, and so ask for another name.
	if _, ok := mdns.IsDomainName(name); !ok || canonical(name) == "" || strings.Contains(name, `\`) {
		return nil, &Error{Name: name, Type: mdns.TypeToString[qtype], Reason: "not a valid domain name"}
	}
	reply, err := r.query(ctx, canonical(name), qtype)
	if err != nil {
		return nil, err
	}
	return reply.Answer[:min(len(reply.Answer), maxAnswerRecords)], nil
}

// resolved gives the records of a type at the name, or at the end of the chain
// of CNAMEs that starts there. A resolver sends the chain along in its answer.
func resolved(answer []mdns.RR, name string, rrtype uint16) []mdns.RR {
	for range maxChain {
		if records := recordsAt(answer, name, rrtype); len(records) > 0 {
			return records
		}
		aliases := recordsAt(answer, name, mdns.TypeCNAME)
		if len(aliases) != 1 {
			return nil
		}
		cname, ok := aliases[0].(*mdns.CNAME)
		if !ok {
			return nil
		}
		name = cname.Target
	}
	return nil
}

func recordsAt(answer []mdns.RR, name string, rrtype uint16) []mdns.RR {
	var records []mdns.RR
	for _, record := range answer {
		header := record.Header()
		if header.Rrtype == rrtype && header.Class == mdns.ClassINET && canonical(header.Name) == canonical(name) {
			records = append(records, record)
		}
	}
	return records
}

func serverAddresses(server string) ([]string, error) {
	if server != "" {
		address, err := serverAddress(server)
		if err != nil {
			return nil, err
		}
		return []string{address}, nil
	}
	config, err := mdns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return nil, fmt.Errorf("read the system's DNS servers: %w", err)
	}
	var addresses []string
	for _, host := range config.Servers[:min(len(config.Servers), maxServers)] {
		addresses = append(addresses, net.JoinHostPort(host, "53"))
	}
	if len(addresses) == 0 {
		return nil, errors.New("no DNS server configured, and " + resolvConf + " names none")
	}
	return addresses, nil
}

func serverAddress(server string) (string, error) {
	if net.ParseIP(server) != nil || !strings.Contains(server, ":") {
		return net.JoinHostPort(server, "53"), nil
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return "", fmt.Errorf("DNS server address: %w", err)
	}
	if host == "" || port == "" {
		return "", fmt.Errorf("DNS server address %q: want host or host:port", server)
	}
	return net.JoinHostPort(host, port), nil
}
