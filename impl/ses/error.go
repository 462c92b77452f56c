package ses

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Class is what a failure means for the caller.
type Class string

const (
	// Throttled: the account's sending rate, or the API's, is exceeded. Wait and try again.
	Throttled Class = "throttled"
	// QuotaExceeded: the account's daily quota, or its number of resources, is used up.
	QuotaExceeded Class = "quota_exceeded"
	// Paused: the account, or the configuration set, may not send at present.
	Paused Class = "paused"
	// Rejected: SES will never accept this request as it is.
	Rejected Class = "rejected"
	// DomainNotReady: the sender's domain, or its MAIL FROM domain, is not verified with SES.
	DomainNotReady Class = "domain_not_ready"
	// Misconfigured: credentials, permissions or the configuration set are wrong; an operator must act.
	Misconfigured Class = "misconfigured"
	// NotFound: there is no such identity.
	NotFound Class = "not_found"
	// Ambiguous: SES may have received the request, but no usable response came back. SES may have acted.
	Ambiguous Class = "ambiguous"
	// Unreachable: SES never received the whole request, so it did not act.
	Unreachable Class = "unreachable"
)

// ErrNotFound matches, with errors.Is, every error of class NotFound.
var ErrNotFound = errors.New("ses: not found")

// Error is the failure of a call to SES.
type Error struct {
	Op        string // the API operation, such as "SendEmail"
	Class     Class
	Code      string // SES's error code, empty without a response
	Detail    string // for people: no account names, no credentials
	RequestID string // from the response, for a support case with AWS
	// RetryAfter is the wait before another attempt can succeed. Zero leaves it to the caller.
	RetryAfter time.Duration
	Err        error // for the operator's log
}

func (e *Error) Error() string {
	text := "ses " + e.Op + ": " + string(e.Class)
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the SDK's error.
func (e *Error) Unwrap() error { return e.Err }

// Is makes every error of class NotFound match ErrNotFound.
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && e.Class == NotFound
}

// ClassOf returns the class of an error of this package, "" for nil, and Ambiguous for any other error, because
// nothing is known about it.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Ambiguous
}

// newError describes the failed call op, which ran under ctx. a is the progress of its last HTTP request.
func newError(ctx context.Context, op string, a *wireProgress, err error) *Error {
	e := &Error{Op: op, Err: err}
	var response *awshttp.ResponseError
	status := 0
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
		e.RequestID = response.ServiceRequestID()
		e.RetryAfter = retryAfter(response)
	}
	var api smithy.APIError
	message := ""
	if errors.As(err, &api) {
		e.Code, message = api.ErrorCode(), api.ErrorMessage()
	}
	if status == 0 {
		e.Code = ""
		e.Class = classifyNoResponse(ctx, a)
	} else {
		e.Class = classifyResponse(op, status, e.Code, message)
	}
	e.RetryAfter = max(e.RetryAfter, e.Class.wait())
	e.Detail = detail(e.Class, message)
	return e
}

// classifyNoResponse classifies a call that got no HTTP response.
func classifyNoResponse(ctx context.Context, a *wireProgress) Class {
	if a.maybeSent() {
		return Ambiguous
	}
	if a.started.Load() || ctx.Err() != nil {
		return Unreachable
	}
	// There was time, but no request was made: there is no endpoint, or no credentials to sign it with. Credentials
	// can be missing because their own source cannot be reached.
	return Misconfigured
}

// classifyResponse classifies an HTTP response that is an error, or that the SDK could not read.
// Codes: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors
// and https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html
func classifyResponse(op string, status int, code, message string) Class {
	switch code {
	case "TooManyRequestsException", "ThrottlingException", "Throttling", "LimitExceededException":
		return classifyLimit(code, message)
	case "SendingPausedException", "AccountSuspendedException":
		return Paused
	case "MailFromDomainNotVerifiedException":
		return DomainNotReady
	case "MessageRejected", "BadRequestException", "InvalidParameterValue":
		return classifyRejection(op, message)
	case "NotFoundException":
		if op == opSendEmail {
			return Misconfigured // the configuration set
		}
		return NotFound
	}
	switch {
	case status >= 500 || status < 300:
		return Ambiguous
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusRequestTimeout:
		return Ambiguous
	case status == http.StatusRequestEntityTooLarge:
		return Rejected
	}
	return Misconfigured
}

// classifyLimit distinguishes the rate from the quota. SES sometimes uses one code for both; then only the text
// differs ("Maximum sending rate exceeded", "Daily message quota exceeded").
func classifyLimit(code, message string) Class {
	text := strings.ToLower(message)
	switch {
	case strings.Contains(text, "rate exceeded"):
		return Throttled
	case code == "LimitExceededException" || strings.Contains(text, "quota exceeded"):
		return QuotaExceeded
	}
	return Throttled
}

// classifyRejection distinguishes a rejection that may pass (an unverified domain, a pause) from a permanent one.
// https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html
func classifyRejection(op, message string) Class {
	text := strings.ToLower(message)
	switch {
	case strings.Contains(text, "address is not verified"):
		return DomainNotReady
	case strings.Contains(text, "sending suspended"), strings.Contains(text, "sending paused"):
		return Paused
	case op == opSendEmail && !aboutTheMessage(text):
		return Misconfigured
	}
	return Rejected
}

// wait returns the shortest sensible pause after a failure. SES advises up to ten minutes for a quota.
// https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html
func (c Class) wait() time.Duration {
	switch c {
	case Throttled:
		return time.Second
	case QuotaExceeded, Paused:
		return 10 * time.Minute
	case Misconfigured:
		return time.Minute
	}
	return 0
}

// explanation returns the text for people where SES's own words are not meant for them.
func (c Class) explanation() string {
	switch c {
	case Throttled:
		return "The email service is limiting the sending rate."
	case QuotaExceeded:
		return "The email service's quota is used up."
	case Paused:
		return "Sending is paused at the email service."
	case Rejected:
		return "The email service refused the request."
	case DomainNotReady:
		return "The sending domain is not verified with the email service."
	case Misconfigured:
		return "The email service is not configured correctly."
	case NotFound:
		return "The email service does not know this identity."
	case Unreachable:
		return "The email service cannot be reached."
	}
	return "The email service gave no clear answer."
}

// maxDetail bounds a detail in SES's words, in bytes.
const maxDetail = 500

// detail returns a text for people. SES's own words are shown only where they are about the request; elsewhere they
// can name the account, its users and its resources.
func detail(class Class, message string) string {
	if class != Rejected && class != DomainNotReady {
		return class.explanation()
	}
	text := strings.ToValidUTF8(message, "")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "")
	}
	if text == "" || confidential.MatchString(text) {
		return class.explanation()
	}
	return text
}

func retryAfter(response *awshttp.ResponseError) time.Duration {
	if response.Response == nil || response.Response.Response == nil {
		return 0
	}
	seconds, err := strconv.Atoi(response.Response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 || seconds > 3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
