package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	mdns "github.com/miekg/dns"
)

// udpSize fits every path without fragmentation. It was agreed on at DNS flag day 2020 and is in RFC 9715.
const udpSize = 1232

var errMismatch = errors.New("the answer does not match the question")

// query asks the servers in turn until one answers whether the records exist. The error is always an [*Error].
func (r *Resolver) query(ctx context.Context, name string, qtype uint16) (*mdns.Msg, error) {
	var reply *mdns.Msg
	var err error
	for i, server := range r.attempts {
		if reply != nil && server == r.attempts[i-1] {
			break // it has answered; asking it twice is for lost packets
		}
		var got *mdns.Msg
		got, err = r.exchange(ctx, server, name, qtype)
		if err == nil && (got.Rcode == mdns.RcodeSuccess || got.Rcode == mdns.RcodeNameError) {
			return got, nil
		}
		r.logFailure(ctx, server, qtype, got, err)
		if got != nil {
			reply = got // more telling than another server's network error
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, &Error{
		Name: name, Type: mdns.TypeToString[qtype],
		Reason: reason(ctx, reply, err), Temporary: true, cause: ctx.Err(),
	}
}

// exchange asks one server over UDP, and again over TCP if the answer was truncated.
func (r *Resolver) exchange(ctx context.Context, server, name string, qtype uint16) (*mdns.Msg, error) {
	question := new(mdns.Msg)
	question.SetQuestion(mdns.Fqdn(name), qtype)
	question.RecursionDesired = true
	question.SetEdns0(udpSize, false)

	reply, err := r.roundTrip(ctx, "udp", server, question)
	// Some servers truncate in the middle of a record: the message does not parse, but its header says that it is
	// truncated.
	if reply != nil && reply.Id == question.Id && reply.Truncated {
		reply, err = r.roundTrip(ctx, "tcp", server, question)
	}
	if err != nil {
		return nil, err
	}
	if !answers(reply, question) {
		return nil, errMismatch
	}
	return reply, nil
}

func (r *Resolver) roundTrip(ctx context.Context, network, server string, question *mdns.Msg) (*mdns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	client := &mdns.Client{Net: network, Timeout: r.timeout}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, ended(ctx, fmt.Errorf("dial: %w", err))
	}
	// The client respects the context's deadline but not its cancellation. Closing twice is harmless: no written
	// data waits to be flushed.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()

	reply, _, err := client.ExchangeWithConnContext(ctx, question, conn)
	return reply, ended(ctx, err)
}

// ended returns the context's error instead of the network error that it caused. The socket has the context's
// deadline and may notice it a moment earlier; the caller must not conclude that its context has time left.
func ended(ctx context.Context, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		<-ctx.Done()
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// answers reports whether the reply is to this question. The id alone is not enough: it has 16 bits, which a forger
// can guess.
func answers(reply, question *mdns.Msg) bool {
	if !reply.Response || reply.Id != question.Id || len(reply.Question) != 1 {
		return false
	}
	got, want := reply.Question[0], question.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && canonical(got.Name) == canonical(want.Name)
}

// reason describes a failed lookup in words that name no server.
func reason(ctx context.Context, reply *mdns.Msg, err error) string {
	if errors.Is(ctx.Err(), context.Canceled) {
		return "the look-up was cancelled"
	}
	if reply != nil {
		switch reply.Rcode {
		case mdns.RcodeServerFailure:
			return "the domain's name servers cannot be asked at the moment (SERVFAIL)"
		case mdns.RcodeRefused:
			return "the name server refused to answer (REFUSED)"
		}
		return "the name server gave an error (" + mdns.RcodeToString[reply.Rcode] + ")"
	}
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no name server answered in time"
	case errors.As(err, &network) && network.Timeout():
		return "no name server answered in time"
	case errors.As(err, &network):
		return "no name server could be reached"
	}
	return "the name server gave an unusable answer"
}

// logFailure does not log the name, which may be part of a person's address.
func (r *Resolver) logFailure(ctx context.Context, server string, qtype uint16, reply *mdns.Msg, err error) {
	result := slog.Any("error", err)
	if err == nil {
		result = slog.String("rcode", mdns.RcodeToString[reply.Rcode])
	}
	r.log.LogAttrs(ctx, slog.LevelDebug, "dns exchange failed",
		slog.String("server", server), slog.String("type", mdns.TypeToString[qtype]), result)
}
