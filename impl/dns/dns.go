// Package dns looks up the records that prove a sending domain, compares them with the wanted ones, and serves
// records itself for development and tests.
//
//   - dns.go: records and their types
//   - resolver.go: [Resolver], exact lookups of CNAME, TXT and MX
//   - exchange.go: one question to one server, over UDP and then TCP
//   - match.go: the rules by which observed records satisfy a wanted one
//   - server.go: [Server], a small DNS server over a [Zone]; answer.go: its answers
//   - text.go: the strings of a TXT record
//   - zone.go: [Zone], and [StaticZone] with its records in memory
//
// Throughout the API, names are lower-cased and have no trailing dot.
package dns

import (
	"fmt"
	"strconv"
	"strings"
)

// The record types that the package reads and serves.
const (
	TypeCNAME = "CNAME"
	TypeTXT   = "TXT"
	TypeMX    = "MX"
)

// MX is one mail exchanger of a name (RFC 5321, section 5).
type MX struct {
	Preference uint16
	Host       string
}

// String returns the presentation form, "10 mail.example.com".
func (m MX) String() string {
	return strconv.Itoa(int(m.Preference)) + " " + m.Host
}

// ParseMX parses the presentation form, "10 mail.example.com". The host is lower-cased and loses its trailing dot.
func ParseMX(value string) (MX, error) {
	fields := strings.Fields(value)
	if len(fields) != 2 {
		return MX{}, fmt.Errorf("parse MX %q: want a preference and a host", value)
	}
	preference, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil {
		return MX{}, fmt.Errorf("parse MX %q: the preference is not a number up to 65535", value)
	}
	host := canonical(fields[1])
	if host == "" {
		return MX{}, fmt.Errorf("parse MX %q: no host", value)
	}
	return MX{Preference: uint16(preference), Host: host}, nil
}

// Error means that a lookup gave no answer. An answer that the record does not exist is no error. Its text names no
// server, so it may be shown to the domain's owner.
type Error struct {
	Name   string
	Type   string
	Reason string // for people, without a full stop
	// Temporary reports whether the same lookup may succeed later. It is false only for names that no server can be
	// asked about.
	Temporary bool

	cause error
}

func (e *Error) Error() string {
	return fmt.Sprintf("look up %s of %s: %s", e.Type, e.Name, e.Reason)
}

// Unwrap returns the context's error if that ended the lookup. Network errors stay hidden, because their text names
// the server.
func (e *Error) Unwrap() error { return e.cause }

// canonical lower-cases a name and removes one trailing dot.
func canonical(name string) string {
	return strings.TrimSuffix(lower(name), ".")
}

// lower folds ASCII only, as DNS does (RFC 4343). strings.ToLower would also turn some other letters, such as the
// Kelvin sign, into ASCII ones.
func lower(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, text)
}
