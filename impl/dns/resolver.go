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

	// maxServers is how many servers of resolv.conf are used; resolv.conf(5) has the same limit.
	maxServers = 3
	// maxAnswerRecords bounds the records that are read from one answer.
	maxAnswerRecords = 100
	// maxChain bounds the CNAMEs that are followed within an answer.
	maxChain = 8
)

// Config configures a [Resolver].
type Config struct {
	// Server is the recursive resolver to ask, "host" or "host:port" (port 53 by default). Empty means the servers
	// of /etc/resolv.conf, in order.
	Server string
	// Timeout bounds each exchange with a server. Zero means 2 seconds. A lookup makes up to three exchanges, and
	// each may be repeated over TCP.
	Timeout time.Duration
	// Log receives failed exchanges at debug level. Nil discards them.
	Log *slog.Logger
}

// Resolver looks up single record sets. It applies no search domains, has no cache, and is safe for concurrent use.
//
// A name or record set that does not exist is an empty result. A failure that leaves the question open (SERVFAIL,
// REFUSED, a timeout) is an [*Error].
type Resolver struct {
	attempts []string // server addresses in the order of use
	timeout  time.Duration
	log      *slog.Logger
}

// New makes a Resolver. It fails if the server's address is malformed, or if none is given and /etc/resolv.conf
// names none. It makes no query; see [Resolver.Check].
func New(config Config) (*Resolver, error) {
	servers, err := serverAddresses(config.Server)
	if err != nil {
		return nil, err
	}
	if len(servers) == 1 {
		// UDP loses packets: a single server is asked twice.
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

// CNAME returns the target of the CNAME at exactly this name. It does not follow it.
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

// TXT returns the texts at the name, or where its CNAMEs lead. The strings of one record are joined without a
// separator (RFC 7208, section 3.3). Bytes that are not valid text become U+FFFD, so that every text can be stored.
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

// MX returns the mail exchangers of the name, or of where its CNAMEs lead, in no particular order. The host of a
// null MX (RFC 7505) is empty.
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

// Check asks for the root's name servers, a question that every working resolver answers. Its error is for
// operators: it names the configured servers.
func (r *Resolver) Check(ctx context.Context) error {
	if _, err := r.query(ctx, ".", mdns.TypeNS); err != nil {
		return fmt.Errorf("check resolver %s: %w", strings.Join(slices.Compact(slices.Clone(r.attempts)), ", "), err)
	}
	return nil
}

func (r *Resolver) lookup(ctx context.Context, name string, qtype uint16) ([]mdns.RR, error) {
	// A backslash would be read as an escape, and another name would be queried.
	if _, ok := mdns.IsDomainName(name); !ok || canonical(name) == "" || strings.Contains(name, `\`) {
		return nil, &Error{Name: name, Type: mdns.TypeToString[qtype], Reason: "not a valid domain name"}
	}
	reply, err := r.query(ctx, canonical(name), qtype)
	if err != nil {
		return nil, err
	}
	return reply.Answer[:min(len(reply.Answer), maxAnswerRecords)], nil
}

// resolved returns the records of a type at the name, or at the end of the chain of CNAMEs that starts there. A
// resolver includes the chain in its answer.
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
