package ses

import (
	"regexp"
	"slices"
	"strings"
)

// rejections are the words by which SES says that a refusal is about this message alone: its addresses or its content.
// Nothing else fails a message. A refusal that is not listed may be about the account, the credentials, a policy, the clock
// or a resource that is missing, all of which people mend while the mail waits.
//
//   - https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html
//   - https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html (the texts behind "Transaction failed")
//   - https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors
//   - https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html, API_MessageHeader.html, API_Attachment.html
func rejections() []string {
	return []string{
		// Addresses.
		"missing final '@domain'", "missing domain", "missing local", "illegal address", "invalid email address",
		"invalid mail from address", "invalid domain name", "local address ", "local part", "address contains ",
		"domain contains ", "domain starts with ", "domain ends with ", "domain is too long", "fromemailaddress ",
		"replytoaddresses ", "destination ", "at least one recipient", "recipient count exceeds", "too many recipients",
		// Content.
		"virus", "invalid content", "message length is more than", "message is too long", "subject is required",
		"subject contains ", "body is required", "empty body", "header <", "header name", "header value", "header count exceeds",
		"the name of a header", "the value of header", "duplicate header", "empty required header", "expected disposition",
		"illegal filename", "attachment", "content-type", "mime type", "tag name", "tag value", "tag count exceeds",
		"duplicate tag", "expected '",
	}
}

// aboutTheMessage reports whether a refusal, in lower case, is about this message alone.
func aboutTheMessage(text string) bool {
	return slices.ContainsFunc(rejections(), func(words string) bool { return strings.Contains(text, words) })
}

// confidential matches what a tenant must not read: ARNs, account ids, hosts of AWS.
var confidential = regexp.MustCompile(`(?i)arn:|\d{12}|amazonaws|\.amazon\.com|policy`)
