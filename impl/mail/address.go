package mail

import (
	"errors"
	"fmt"
	"mime"
	"strings"
)

const (
	// maxInput bounds the octets of one address field, and with them the work
	// of parsing it: fifty addresses of ordinary length need 2 to 4 KiB.
	maxInput = 16 << 10
	// maxLocal is the limit of RFC 5321 section 4.5.3.1.1, in octets.
	maxLocal = 64
	// maxName bounds a display name, in characters.
	maxName = 200
)

var errInputTooLong = fmt.Errorf("is longer than %d octets", maxInput)

// Address is one mailbox. Addresses that this package parsed are safe to put
// into a header; a literal of this type is only as safe as its fields.
type Address struct {
	// Name is the decoded display name; empty when there is none.
	Name string
	// Local is the part before the @ as it was given, quotes included.
	Local string
	// Domain is in lower case and in the ASCII form of IDNA ("xn--…").
	Domain string
}

// ParseAddress reads exactly one bare address (local@domain, RFC 5321 section
// 4.1.2). Display names, angle brackets, comments, domain literals and local
// parts outside ASCII are refused.
func ParseAddress(s string) (Address, error) {
	if err := checkInput(s); err != nil {
		return Address{}, err
	}
	if strings.HasSuffix(s, ">") {
		return Address{}, errors.New("must be a bare address, without a name or angle brackets")
	}
	return parseBare(strings.Trim(s, " "))
}

// Bare returns local@domain, the local part as it was given.
func (a Address) Bare() string { return a.Local + "@" + a.Domain }

// Key returns the form in which addresses are compared: the bare address,
// wholly in lower case. Quotes that change nothing ("ann"@… is ann@…, RFC 5321
// section 4.1.2) are removed, so that they cannot be used to bypass a
// suppression.
func (a Address) Key() string {
	return strings.ToLower(quoteLocal(unquoteLocal(a.Local)) + "@" + a.Domain)
}

// String returns the form for a header (RFC 5322 section 3.4): the name in
// quotes, or encoded where it is not printable ASCII (RFC 2047), before the
// address in angle brackets. Without a name it is the bare address.
func (a Address) String() string {
	if a.Name == "" {
		return a.Bare()
	}
	return formatName(a.Name) + " <" + a.Bare() + ">"
}

func formatName(name string) string {
	for i := range len(name) {
		if name[i] < 0x20 || name[i] > 0x7e {
			// Not the Q encoding of net/mail: it leaves a backslash as it is,
			// which RFC 2047 section 5 forbids in a name.
			return mime.BEncoding.Encode("utf-8", name)
		}
	}
	return quote(name)
}

func checkInput(s string) error {
	if len(s) > maxInput {
		return errInputTooLong
	}
	return CheckHeaderText(s)
}

func parseBare(s string) (Address, error) {
	if s == "" {
		return Address{}, errors.New("is empty")
	}
	at := endOfLocal(s)
	if at < 0 {
		return Address{}, errors.New("is not an address: the @ is missing")
	}
	local, domain := s[:at], s[at+1:]
	if err := checkLocal(local); err != nil {
		return Address{}, err
	}
	if strings.Contains(domain, "@") {
		return Address{}, errors.New("is not an address: it has more than one @")
	}
	domain, err := normalizeHost(domain)
	if err != nil {
		return Address{}, fmt.Errorf("has an invalid domain, which %w", err)
	}
	return Address{Local: local, Domain: domain}, nil
}

// endOfLocal returns the position of the @ that ends the local part, or -1 when
// there is none.
func endOfLocal(s string) int {
	if s[0] != '"' {
		return strings.IndexByte(s, '@')
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if i+1 < len(s) && s[i+1] == '@' {
				return i + 1
			}
			return -1
		}
	}
	return -1
}

// checkLocal checks a local part by RFC 5321 section 4.1.2: a dot-string or a
// quoted string, in ASCII.
func checkLocal(local string) error {
	switch {
	case local == "":
		return errors.New("is not an address: nothing stands before the @")
	case len(local) > maxLocal:
		return fmt.Errorf("has more than %d octets before the @", maxLocal)
	case !isASCII(local):
		return errors.New("has characters outside ASCII before the @, which Amazon SES refuses")
	case local[0] == '"':
		// endOfLocal has found the closing quote. Between the quotes any
		// printable character may stand; checkInput has refused the others.
		if unquoteLocal(local) == "" {
			return errors.New("is not an address: nothing stands between the quotes")
		}
		return nil
	case strings.ContainsRune(local, ' '):
		return errors.New("has a space before the @; write a name as: Name <address>")
	case strings.ContainsAny(local, "<>"):
		return errors.New("has a misplaced angle bracket")
	case !isDotString(local):
		return errors.New("has a dot or a special character in a wrong place before the @")
	}
	return nil
}

func isDotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			if !isAtomText(atom[i]) {
				return false
			}
		}
	}
	return true
}

// isAtomText reports whether c is atext of RFC 5322 section 3.2.3.
func isAtomText(c byte) bool {
	return isLetterOrDigit(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isLetterOrDigit(c byte) bool {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func unquoteLocal(local string) string {
	if len(local) < 2 || local[0] != '"' {
		return local
	}
	var out strings.Builder
	inner := local[1 : len(local)-1]
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		out.WriteByte(inner[i])
	}
	return out.String()
}

func quoteLocal(local string) string {
	if isDotString(local) {
		return local
	}
	return quote(local)
}

// quote returns s as a quoted string (RFC 5322 section 3.2.4).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
