package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode/utf8"
)

// ParseList reads one address or several, separated by commas or semicolons,
// each bare or as Name <address> (RFC 5322 section 3.4). A separator inside
// quotes or a comment is text; comments are dropped. Empty elements, groups,
// domain literals and the obsolete forms of section 4.4 are refused. The list
// is never empty, and repetitions are kept.
func ParseList(s string) ([]Address, error) {
	if err := checkInput(s); err != nil {
		return nil, err
	}
	elements, err := splitList(s)
	if err != nil {
		return nil, err
	}
	addresses := make([]Address, 0, len(elements))
	for i, e := range elements {
		address, err := e.parse()
		if err != nil && len(elements) > 1 {
			return nil, fmt.Errorf("address %d of %d %w", i+1, len(elements), err)
		}
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// FormatList writes addresses for people, so that [ParseList] reads the same ones: names are not encoded as they are
// in a header.
func FormatList(addresses []Address) string {
	written := make([]string, len(addresses))
	for i, a := range addresses {
		written[i] = a.Bare()
		if a.Name != "" {
			written[i] = quote(a.Name) + " <" + written[i] + ">"
		}
	}
	return strings.Join(written, ", ")
}

// element is one part of a list, its comments replaced by spaces.
type element struct {
	text string
	// angle is the position of the first < outside quotes, or -1 when there is none.
	angle int
}

// splitter walks a list once, octet by octet: everything that structures a
// list is ASCII.
type splitter struct {
	elements []element
	text     strings.Builder
	angle    int
	quoted   bool
	comments int // how many comments are open
}

func splitList(s string) ([]element, error) {
	w := splitter{angle: -1}
	for i := 0; i < len(s); i++ {
		escaped := s[i] == '\\' && (w.quoted || w.comments > 0)
		if escaped && i+1 < len(s) {
			w.write(s[i])
			i++
			w.write(s[i])
			continue
		}
		if err := w.next(s[i]); err != nil {
			return nil, err
		}
	}
	switch {
	case w.quoted:
		return nil, errors.New("has a quote that is never closed")
	case w.comments > 0:
		return nil, errors.New("has a comment that is never closed")
	}
	w.flush()
	return w.elements, nil
}

func (w *splitter) next(c byte) error {
	switch {
	case w.quoted:
		w.quoted = c != '"'
		w.write(c)
	case c == '(':
		w.comments++
	case c == ')' && w.comments > 0:
		w.comments--
		if w.comments == 0 {
			w.write(' ')
		}
	case w.comments > 0:
	case c == '"':
		w.quoted = true
		w.write(c)
	case c == ',' || c == ';':
		w.flush()
	case c == ':':
		return errors.New("has a colon outside quotes; groups are not supported")
	default:
		if c == '<' && w.angle < 0 {
			w.angle = w.text.Len()
		}
		w.write(c)
	}
	return nil
}

func (w *splitter) write(c byte) {
	if w.comments == 0 {
		w.text.WriteByte(c)
	}
}

func (w *splitter) flush() {
	w.elements = append(w.elements, element{text: w.text.String(), angle: w.angle})
	w.text.Reset()
	w.angle = -1
}

func (e element) parse() (Address, error) {
	if e.angle < 0 {
		return parseBare(strings.Trim(e.text, " "))
	}
	inside, closed := strings.CutSuffix(strings.TrimRight(e.text[e.angle+1:], " "), ">")
	if !closed {
		return Address{}, errors.New("does not end with the closing angle bracket")
	}
	name, err := parseName(e.text[:e.angle])
	if err != nil {
		return Address{}, err
	}
	address, err := parseBare(strings.Trim(inside, " "))
	if err != nil {
		return Address{}, err
	}
	address.Name = name
	return address, nil
}

// parseName reads a display name: words, quoted strings and encoded words.
func parseName(phrase string) (string, error) {
	if strings.Trim(phrase, " ") == "" {
		return "", nil
	}
	parsed, err := netmail.ParseAddress(phrase + " <a@b>")
	if err != nil {
		return "", errors.New("has an invalid name; put a name with special characters in quotes")
	}
	name := strings.TrimSpace(parsed.Name)
	// An encoded word can decode to any character, control characters included.
	if err := CheckHeaderText(name); err != nil {
		return "", fmt.Errorf("has an invalid name, which %w", err)
	}
	if utf8.RuneCountInString(name) > maxName {
		return "", fmt.Errorf("has a name of more than %d characters", maxName)
	}
	return name, nil
}
