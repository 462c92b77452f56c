package sessim

import (
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"
)

const (
	// https://docs.aws.amazon.com/ses/latest/dg/quotas.html
	maxRecipients = 50
	// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html
	maxTagLength = 256
	// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Message.html
	maxHeaders = 15
	// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Attachment.html
	maxFileName    = 255
	maxContentType = 78

	wordCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
)

func rejected(message string) error {
	return &apiError{http.StatusBadRequest, "MessageRejected", message}
}

func tooLong(limit int64) error {
	return badRequest(fmt.Sprintf("Message length is more than %d bytes long.", limit))
}

// parsed is what the checks of a request found.
type parsed struct {
	from       string   // bare
	recipients []string // bare, in the order To, Cc, Bcc
}

// check refuses what SES refuses because of the request alone. The texts are from the troubleshooting page where it has one.
//   - https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
//   - https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html
func (r *sendRequest) check() (parsed, error) {
	var p parsed
	if r.Content.Simple == nil {
		return p, badRequest("Only simple content is supported by this simulator.")
	}
	from, err := parseAddress("FromEmailAddress", r.FromEmailAddress)
	if err != nil {
		return p, err
	}
	p.from = from
	d := r.Destination
	given := slices.Concat(d.ToAddresses, d.CcAddresses, d.BccAddresses)
	if len(given) == 0 {
		return p, badRequest("At least one recipient is required.")
	}
	if len(given) > maxRecipients {
		return p, badRequest(fmt.Sprintf("Recipient count exceeds %d.", maxRecipients))
	}
	for _, address := range given {
		bare, err := parseAddress("Destination", address)
		if err != nil {
			return p, err
		}
		p.recipients = append(p.recipients, bare)
	}
	for _, address := range r.ReplyToAddresses {
		if _, err := parseAddress("ReplyToAddresses", address); err != nil {
			return p, err
		}
	}
	if err := r.Content.Simple.check(); err != nil {
		return p, err
	}
	return p, checkTags(r.EmailTags)
}

func (m *simpleContent) check() error {
	if m.Subject == nil {
		return badRequest("Subject is required.")
	}
	if hasControl(m.Subject.Data) {
		return badRequest("Subject contains a control character.")
	}
	if m.Body.Html.data() == "" && m.Body.Text.data() == "" {
		return badRequest("Body is required: neither html nor text is given.")
	}
	size := len(m.Subject.Data) + len(m.Body.Html.data()) + len(m.Body.Text.data())
	for _, a := range m.Attachments {
		if a.FileName == "" || len(a.FileName) > maxFileName || hasControl(a.FileName) {
			return badRequest("The file name of an attachment is invalid.")
		}
		if len(a.ContentType) > maxContentType {
			return badRequest("The content type of an attachment is invalid.")
		}
		size += len(a.RawContent)
	}
	if size > maxMessageBytes {
		return tooLong(maxMessageBytes)
	}
	return checkHeaders(m.Headers)
}

// checkHeaders applies the rules of MessageHeader.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageHeader.html
func checkHeaders(headers []nameValue) error {
	if len(headers) > maxHeaders {
		return badRequest(fmt.Sprintf("Header count exceeds %d.", maxHeaders))
	}
	for _, h := range headers {
		if h.Name == "" || len(h.Name) > 126 || strings.ContainsFunc(h.Name, func(c rune) bool { return c <= ' ' || c > '~' || c == ':' }) {
			return badRequest("The name of a header is invalid.")
		}
		if h.Value == "" || len(h.Value) > 995 || len(h.Name)+len(h.Value) > 996 || hasControl(h.Value) || !isASCII(h.Value) {
			return badRequest(fmt.Sprintf("The value of header <%s> is invalid.", h.Name))
		}
		switch strings.ToLower(h.Name) {
		case "from", "to", "cc", "bcc", "reply-to", "subject", "return-path", "sender", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding":
			return badRequest(fmt.Sprintf("Header <%s> cannot be set.", h.Name))
		}
	}
	return nil
}

// checkTags applies the rules of MessageTag.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html
func checkTags(tags []nameValue) error {
	seen := map[string]bool{}
	for _, tag := range tags {
		if err := checkTag("name", tag.Name); err != nil {
			return err
		}
		if err := checkTag("value", tag.Value); err != nil {
			return err
		}
		if seen[tag.Name] {
			return badRequest(fmt.Sprintf("Duplicate tag name <%s>.", tag.Name))
		}
		seen[tag.Name] = true
	}
	return nil
}

func checkTag(what, text string) error {
	if text == "" || len(text) > maxTagLength {
		return badRequest(fmt.Sprintf("The tag %s must have 1 to %d characters.", what, maxTagLength))
	}
	if strings.ContainsFunc(text, notWord) {
		return badRequest(fmt.Sprintf("Invalid tag %s <%s>, only alphanumeric ASCII characters, '_', and '-' are allowed.", what, clip(text)))
	}
	return nil
}

func notWord(c rune) bool { return !strings.ContainsRune(wordCharacters, c) }

// parseAddress returns the bare address of one mailbox, with or without a display name. SES requires ASCII: a
// display name encoded as in RFC 2047, a domain in Punycode, and an ASCII local part.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
func parseAddress(field, given string) (string, error) {
	if given == "" {
		return "", badRequest(field + " is required.")
	}
	if hasControl(given) {
		return "", badRequest("Local address contains control or whitespace")
	}
	if !isASCII(given) {
		return "", badRequest(field + " contains a non-ASCII character.")
	}
	if !strings.Contains(given, "@") {
		return "", badRequest("Missing final '@domain'")
	}
	address, err := mail.ParseAddress(given)
	if err != nil {
		return "", badRequest("Illegal address")
	}
	at := strings.LastIndexByte(address.Address, '@')
	local, domain := address.Address[:at], address.Address[at+1:]
	if len(local) > 64 || len(address.Address) > 320 {
		return "", badRequest("Local address is too long")
	}
	if !isDomain(strings.ToLower(domain)) {
		return "", badRequest("Domain contains illegal character or is invalid")
	}
	return address.Address, nil
}

// isDomain reports whether mail can be sent from or to a lower-case domain name.
func isDomain(name string) bool {
	labels := strings.Split(name, ".")
	if len(name) > 253 || len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(c rune) bool { return c >= 'A' && c <= 'Z' || notWord(c) }) {
			return false
		}
	}
	return strings.ContainsFunc(labels[len(labels)-1], func(c rune) bool { return c >= 'a' })
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
}

func clip(s string) string { return s[:min(len(s), 100)] }
