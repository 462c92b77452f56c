package mail

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// CheckHeaderText refuses characters that must never stand in a header: control
// characters (C0 with tab, CR, LF and NUL; DEL; C1), the Unicode line and
// paragraph separators, and invalid UTF-8. One of them in a subject or a name
// would let its author add headers or recipients of their own (RFC 5322
// section 2.2, CWE-93).
func CheckHeaderText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("is not valid UTF-8")
	}
	for _, r := range s {
		if isControl(r) {
			return fmt.Errorf("contains the control character U+%04X", r)
		}
	}
	return nil
}

func isControl(r rune) bool {
	return r < 0x20 || (r >= 0x7f && r <= 0x9f) || r == '\u2028' || r == '\u2029'
}

// MaxMessageBytes bounds one message: the body of its request, each rendered part of it, and each item of a batch.
const MaxMessageBytes = 10 << 20

// BodyControls are the control characters that may stand in a body.
const BodyControls = "\t\n\r"

// HasControl reports whether s holds a C0 control character or DEL that is not in except. It checks bytes: in
// UTF-8 no byte of a longer sequence is below 0x80.
func HasControl(s, except string) bool {
	for i := range len(s) {
		if (s[i] < 0x20 || s[i] == 0x7f) && strings.IndexByte(except, s[i]) < 0 {
			return true
		}
	}
	return false
}
