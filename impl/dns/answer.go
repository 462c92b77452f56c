package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	mdns "github.com/miekg/dns"
)

// answer fills in the reply from the zone. It returns false if no reply is to be sent.
func (s *Server) answer(reply *mdns.Msg) bool {
	question := reply.Question[0]
	if reply.Opcode != mdns.OpcodeQuery {
		reply.Rcode = mdns.RcodeNotImplemented
		return true
	}
	if question.Qclass != mdns.ClassINET {
		reply.Rcode = mdns.RcodeRefused
		return true
	}
	ctx, cancel := context.WithTimeout(s.ctx, zoneTimeout)
	defer cancel()
	answer, rcode, err := s.resolve(ctx, question.Name, question.Qtype)
	switch {
	case errors.Is(err, ErrSilent):
		return false
	case errors.Is(err, ErrRefused):
		reply.Rcode = mdns.RcodeRefused
	case err != nil:
		s.log.Warn("dns zone failed", slog.Any("error", err))
		reply.Rcode = mdns.RcodeServerFailure
	default:
		reply.Answer, reply.Rcode = answer, rcode
	}
	return true
}

// resolve follows CNAMEs through the zone, as a recursive resolver does. The code is about the last name in the
// chain (RFC 6604).
func (s *Server) resolve(ctx context.Context, name string, qtype uint16) ([]mdns.RR, int, error) {
	var answer []mdns.RR
	for range maxChain {
		found, exists, err := s.recordsOf(ctx, name, qtype)
		if err != nil {
			return nil, 0, err
		}
		if !exists {
			return answer, mdns.RcodeNameError, nil
		}
		answer = append(answer, found...)
		if len(found) == 0 || found[0].Header().Rrtype == qtype {
			return answer, mdns.RcodeSuccess, nil
		}
		cname, ok := found[0].(*mdns.CNAME)
		if !ok {
			return nil, 0, fmt.Errorf("record of type %s among CNAMEs", mdns.TypeToString[found[0].Header().Rrtype])
		}
		name = cname.Target
	}
	return nil, 0, errors.New("chain of CNAMEs too long")
}

// recordsOf returns the name's records of the type, or else its CNAME, and reports whether the name exists with any
// type.
func (s *Server) recordsOf(ctx context.Context, name string, qtype uint16) ([]mdns.RR, bool, error) {
	records, err := s.zone.Records(ctx, canonical(name), mdns.Type(qtype).String())
	if err != nil {
		return nil, false, err
	}
	exists := false
	var found, aliases []mdns.RR
	for _, record := range records {
		if canonical(record.Name) != canonical(name) {
			continue
		}
		exists = true
		rr, err := wireRecord(record, name)
		if err != nil {
			return nil, false, err
		}
		switch rr.Header().Rrtype {
		case qtype:
			found = append(found, rr)
		case mdns.TypeCNAME:
			aliases = append(aliases, rr)
		}
	}
	if len(found) == 0 {
		found = aliases
	}
	return found, exists, nil
}

// wireRecord returns the DNS library's form of a record. The owner is the name as it was queried, in its original
// case.
func wireRecord(record Record, owner string) (mdns.RR, error) {
	header := mdns.RR_Header{Name: owner, Class: mdns.ClassINET, Ttl: record.TTL}
	switch record.Type {
	case TypeCNAME:
		header.Rrtype = mdns.TypeCNAME
		target, err := wireName(record.Value)
		return &mdns.CNAME{Hdr: header, Target: target}, err
	case TypeMX:
		header.Rrtype = mdns.TypeMX
		mx, err := ParseMX(record.Value)
		if err != nil {
			return nil, err
		}
		host, err := wireName(mx.Host)
		return &mdns.MX{Hdr: header, Preference: mx.Preference, Mx: host}, err
	case TypeTXT:
		header.Rrtype = mdns.TypeTXT
		return &mdns.TXT{Hdr: header, Txt: splitText(record.Value)}, nil
	}
	return nil, fmt.Errorf("records of type %q are not served", record.Type)
}

func wireName(name string) (string, error) {
	if _, ok := mdns.IsDomainName(name); !ok {
		return "", fmt.Errorf("%q is not a domain name", name)
	}
	return mdns.Fqdn(name), nil
}
