package mail

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

const (
	// maxDomain and maxLabel are the limits of RFC 1035 section 2.3.4, in
	// octets, the domain without its final dot.
	maxDomain = 253
	maxLabel  = 63
	// maxUnicodeDomain bounds the octets of a name that is still to be turned
	// to ASCII, and with them the work: a character has at most 4 octets.
	maxUnicodeDomain = 4 * maxDomain
)

// ParseDomain reads a name that mail can be sent from: a name that can be
// registered, or one below it. Public suffixes are refused, including the
// private section of the list (publicsuffix.org), since a sender who verified
// such a name could send for every customer below it. Under a top-level domain
// that the list does not know (.test, .example) two labels are enough. The
// result is in lower case and in the ASCII form of IDNA, without a final dot.
func ParseDomain(s string) (string, error) {
	if err := CheckHeaderText(s); err != nil {
		return "", err
	}
	switch {
	case strings.Contains(s, "*"):
		return "", errors.New("must not be a wildcard")
	case strings.ContainsAny(s, "/:@?#"):
		return "", errors.New("must be a name alone, without scheme, port, path or @")
	}
	domain, err := normalizeHost(strings.TrimSuffix(s, "."))
	if err != nil {
		return "", err
	}
	if suffix, _ := publicsuffix.PublicSuffix(domain); suffix == domain {
		return "", errors.New("is a public suffix, under which others register their names")
	}
	return domain, nil
}

// ParseLabel reads one label of a host name (RFC 1123 section 2.1): 1 to 63
// letters, digits and hyphens in ASCII, no hyphen at either end. The result is
// in lower case.
func ParseLabel(s string) (string, error) {
	if err := checkLabel(s); err != nil {
		return "", err
	}
	return strings.ToLower(s), nil
}

// Parents returns the domain itself and every name above it that has at least
// two labels, the most specific first.
func Parents(domain string) []string {
	var parents []string
	for strings.Contains(domain, ".") {
		parents = append(parents, domain)
		_, domain, _ = strings.Cut(domain, ".")
	}
	return parents
}

// normalizeHost turns a host name of at least two labels to lower-case ASCII.
func normalizeHost(s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New("is empty")
	case s[0] == '[':
		return "", errors.New("must be a name, not an IP address in brackets")
	case len(s) > maxUnicodeDomain:
		return "", fmt.Errorf("is longer than %d octets", maxDomain)
	}
	domain := strings.ToLower(s)
	// Plain names do not pass through IDNA, which refuses some existing names
	// (hyphens in the third and fourth place).
	if !isASCII(s) || strings.Contains(domain, "xn--") {
		ascii, err := idna.Lookup.ToASCII(s)
		if err != nil {
			return "", errors.New("is not a valid internationalised name")
		}
		domain = ascii
	}
	return domain, checkHost(domain)
}

func checkHost(domain string) error {
	if len(domain) > maxDomain {
		return fmt.Errorf("is longer than %d octets", maxDomain)
	}
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	if len(labels) < 2 {
		return errors.New("needs at least two labels, as in example.com")
	}
	// No top-level domain starts with a digit (RFC 3696 section 2), but the
	// last part of every way to write an IPv4 address does.
	if top := labels[len(labels)-1]; top[0] >= '0' && top[0] <= '9' {
		return errors.New("must be a name, not an IP address")
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("has an empty label")
	case len(label) > maxLabel:
		return fmt.Errorf("has a label of more than %d octets", maxLabel)
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("has a label that starts or ends with a hyphen")
	}
	for i := range len(label) {
		if !isLetterOrDigit(label[i]) && label[i] != '-' {
			r, _ := utf8.DecodeRuneInString(label[i:])
			return fmt.Errorf("contains %q; only letters, digits and hyphens are allowed", r)
		}
	}
	return nil
}
