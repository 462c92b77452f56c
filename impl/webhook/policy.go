package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Policy is what an operator allows beyond https to the public Internet.
type Policy struct {
	// Prefixes are networks to which connections are allowed although they are not public.
	Prefixes []netip.Prefix
	// AllowLoopbackHTTP allows plain http, to loopback addresses only. It is for development.
	AllowLoopbackHTTP bool
}

// ParsePrefixes parses a list of networks such as "10.1.0.0/16,fd00::/8".
func ParsePrefixes(list string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 10.1.0.0/16", part)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// CheckURL returns an error if a URL is not allowed for a webhook. It makes no DNS lookup: each attempt checks the
// address.
func (p Policy) CheckURL(raw string) error {
	parsed, err := url.Parse(raw)
	switch {
	case err != nil || parsed.Opaque != "" || parsed.Hostname() == "":
		return errors.New("is not an absolute URL")
	case parsed.User != nil:
		return errors.New("must not hold a user name or password")
	case parsed.Fragment != "" || strings.HasSuffix(raw, "#"):
		return errors.New("must not have a fragment")
	case parsed.Port() == "" && strings.HasSuffix(parsed.Host, ":"):
		return errors.New("has an empty port")
	}
	if port := parsed.Port(); port != "" {
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return errors.New("has no valid port")
		}
	}
	return p.checkHost(parsed)
}

func (p Policy) checkHost(parsed *url.URL) error {
	host := parsed.Hostname()
	address, err := netip.ParseAddr(host)
	literal := err == nil
	switch {
	case parsed.Scheme == "http" && p.AllowLoopbackHTTP:
		if host != "localhost" && (!literal || !address.Unmap().IsLoopback()) {
			return errors.New("must be https; plain http is for loopback addresses")
		}
	case parsed.Scheme != "https":
		return errors.New("must be https")
	case literal && !p.allows(parsed.Scheme, address):
		return errors.New("names an address that is not globally routable")
	}
	return nil
}

// allows reports whether a connection to an address is allowed.
func (p Policy) allows(scheme string, address netip.Addr) bool {
	if scheme != "https" {
		return p.AllowLoopbackHTTP && address.Zone() == "" && address.Unmap().IsLoopback()
	}
	for _, prefix := range p.Prefixes {
		if prefix.Contains(address) || prefix.Contains(address.Unmap()) {
			return true
		}
	}
	return IsPublicAddr(address)
}
