package dns

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxString is the longest string within a TXT record, in bytes (RFC 1035, section 3.3).
const maxString = 255

// joinText joins the strings of a TXT record, which the DNS library gives in
// presentation form: \" and \\ for these characters, \DDD for unprintable bytes.
func joinText(parts []string) string {
	var text strings.Builder
	for _, part := range parts {
		unescape(&text, part)
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || unicode.IsSpace(r) {
			return r
		}
		return utf8.RuneError
	}, text.String())
}

func unescape(text *strings.Builder, part string) {
	for i := 0; i < len(part); i++ {
		if part[i] != '\\' || i+1 == len(part) {
			text.WriteByte(part[i])
			continue
		}
		if value, ok := decimalByte(part[i+1:]); ok {
			text.WriteByte(value)
			i += 3
			continue
		}
		i++
		text.WriteByte(part[i])
	}
}

func decimalByte(digits string) (byte, bool) {
	if len(digits) < 3 {
		return 0, false
	}
	value := 0
	for _, digit := range []byte(digits[:3]) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		value = value*10 + int(digit-'0')
	}
	return byte(value), value <= 255
}

// splitText is the inverse of joinText. The library reads a backslash as the start of an escape, so splitText
// doubles it after splitting by bytes.
func splitText(text string) []string {
	var parts []string
	for {
		end := min(len(text), maxString)
		parts = append(parts, strings.ReplaceAll(text[:end], `\`, `\\`))
		text = text[end:]
		if text == "" {
			return parts
		}
	}
}
