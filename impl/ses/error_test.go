package ses_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/ses"
)

func wantFailure(t *testing.T, err error, want ses.Class) {
	t.Helper()
	_ = failureOf(t, err, want)
}

// failureOf returns err as an *Error, and fails the test unless it has the wanted class and all its fields.
func failureOf(t *testing.T, err error, want ses.Class) *ses.Error {
	t.Helper()
	var failure *ses.Error
	if !errors.As(err, &failure) {
		t.Fatalf("not an *Error: %v", err)
	}
	if failure.Class != want || ses.ClassOf(fmt.Errorf("wrapped: %w", err)) != want {
		t.Fatalf("class %q, want %q: %v", failure.Class, want, err)
	}
	if failure.Op == "" || failure.Detail == "" || failure.Err == nil || strings.Contains(failure.Error(), "a-secret-key") {
		t.Errorf("%+v", failure)
	}
	return failure
}

func TestClassOfOtherErrors(t *testing.T) {
	t.Parallel()
	if got := ses.ClassOf(nil); got != "" {
		t.Error(got)
	}
	if got := ses.ClassOf(io.EOF); got != ses.Ambiguous {
		t.Error(got)
	}
}

func TestAnswersOfSendEmail(t *testing.T) {
	t.Parallel()
	const unverified = "Email address is not verified. The following identities failed the check in region US-EAST-1: a@mail.test"
	for name, c := range map[string]struct {
		status  int
		code    string
		message string
		want    ses.Class
	}{
		"rate":                  {429, "TooManyRequestsException", "Maximum sending rate exceeded.", ses.Throttled},
		"requests":              {429, "TooManyRequestsException", "Too many requests", ses.Throttled},
		"rate, general code":    {400, "ThrottlingException", "Maximum sending rate exceeded.", ses.Throttled},
		"rate, odd code":        {400, "LimitExceededException", "Maximum sending rate exceeded.", ses.Throttled},
		"quota":                 {400, "LimitExceededException", "Daily message quota exceeded.", ses.QuotaExceeded},
		"quota, general code":   {400, "ThrottlingException", "Daily message quota exceeded", ses.QuotaExceeded},
		"quota, odd code":       {429, "TooManyRequestsException", "Daily message quota exceeded.", ses.QuotaExceeded},
		"429 without a code":    {429, "", "", ses.Throttled},
		"paused":                {400, "SendingPausedException", "Email sending is disabled.", ses.Paused},
		"suspended":             {400, "AccountSuspendedException", "x", ses.Paused},
		"suspended in words":    {400, "MessageRejected", "Sending suspended for this account.", ses.Paused},
		"rejected":              {400, "MessageRejected", "Virus found", ses.Rejected},
		"bad request":           {400, "BadRequestException", "Illegal address", ses.Rejected},
		"invalid content":       {400, "MessageRejected", "The message can't be sent because it contains invalid content.", ses.Rejected},
		"attachment type":       {400, "MessageRejected", "Attachment file type is not supported", ses.Rejected},
		"no domain":             {400, "BadRequestException", "Missing final '@domain'", ses.Rejected},
		"odd local part":        {400, "BadRequestException", "Local address contains control or whitespace", ses.Rejected},
		"header":                {400, "BadRequestException", "Header <X-A> cannot be set.", ses.Rejected},
		"too long":              {400, "BadRequestException", "Message length is more than 40000000 bytes long.", ses.Rejected},
		"too many recipients":   {400, "BadRequestException", "Recipient count exceeds 50.", ses.Rejected},
		"validation":            {400, "ValidationException", "x", ses.Misconfigured},
		"unknown refusal":       {400, "MessageRejected", "Something new", ses.Misconfigured},
		"unknown bad request":   {400, "BadRequestException", "Tenant <x> is not associated with this resource", ses.Misconfigured},
		"set that is gone":      {400, "BadRequestException", "Configuration set <mailstack> does not exist.", ses.Misconfigured},
		"denied with 400":       {400, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/x is not authorized to perform: ses:SendEmail", ses.Misconfigured},
		"not authorized":        {400, "NotAuthorized", "x", ses.Misconfigured},
		"clock":                 {400, "RequestExpired", "x", ses.Misconfigured},
		"opt-in":                {400, "OptInRequired", "x", ses.Misconfigured},
		"malformed query":       {400, "MalformedQueryString", "x", ses.Misconfigured},
		"policy in a refusal":   {400, "MessageRejected", "Virus found by arn:aws:iam::123456789012:role/scanner on host-1.amazonaws.com", ses.Rejected},
		"too large":             {413, "RequestEntityTooLarge", "x", ses.Rejected},
		"unverified":            {400, "MessageRejected", unverified, ses.DomainNotReady},
		"unverified, other":     {400, "BadRequestException", unverified, ses.DomainNotReady},
		"MAIL FROM":             {400, "MailFromDomainNotVerifiedException", "x", ses.DomainNotReady},
		"configuration set":     {404, "NotFoundException", "Configuration set <x> does not exist.", ses.Misconfigured},
		"no such route":         {404, "", "", ses.Misconfigured},
		"token":                 {403, "UnrecognizedClientException", "The security token included in the request is invalid.", ses.Misconfigured},
		"signature":             {403, "InvalidSignatureException", "x", ses.Misconfigured},
		"signature with 400":    {400, "IncompleteSignature", "x", ses.Misconfigured},
		"expired":               {400, "ExpiredTokenException", "x", ses.Misconfigured},
		"denied":                {403, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized", ses.Misconfigured},
		"redirect":              {301, "", "", ses.Misconfigured},
		"internal":              {500, "InternalServiceErrorException", "x", ses.Ambiguous},
		"unavailable":           {503, "ServiceUnavailable", "x", ses.Ambiguous},
		"gateway":               {502, "", "", ses.Ambiguous},
		"request timeout":       {408, "RequestTimeoutException", "x", ses.Ambiguous},
		"answer without an id":  {200, "", "", ses.Ambiguous},
		"code with an address":  {429, "TooManyRequestsException:http://internal.amazon.com/", "x", ses.Throttled},
		"rejected with newline": {400, "MessageRejected", "Virus\\r\\nfound", ses.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				w.Header().Set("X-Amzn-RequestId", "the-request")
				if c.code != "" {
					w.Header().Set("X-Amzn-ErrorType", c.code)
				}
				w.WriteHeader(c.status)
				if _, err := fmt.Fprintf(w, `{"message":"%s"}`, c.message); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()
			_, err := connect(t, ses.Config{Endpoint: server.URL}).Send(t.Context(), message())
			failure := failureOf(t, err, c.want)
			if calls.Load() != 1 {
				t.Error("SES was called", calls.Load(), "times")
			}
			if c.status != 200 && failure.RequestID != "the-request" {
				t.Errorf("%+v", failure)
			}
			for _, secret := range []string{"arn:", "123456789012", "amazonaws.com"} {
				if strings.Contains(failure.Detail, secret) {
					t.Errorf("tenants read %q", failure.Detail)
				}
			}
			if strings.ContainsAny(failure.Detail, "\r\n") {
				t.Error(failure.Detail)
			}
			if c.want == ses.Rejected && c.message == "Virus found" && failure.Detail != c.message {
				t.Error(failure.Detail)
			}
			if waits := c.want == ses.Throttled || c.want == ses.QuotaExceeded || c.want == ses.Paused; waits && failure.RetryAfter == 0 {
				t.Errorf("%+v", failure)
			}
		})
	}
}

func TestRetryAfterOfTheAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	_, err := connect(t, ses.Config{Endpoint: server.URL}).Send(t.Context(), message())
	if got := failureOf(t, err, ses.Throttled).RetryAfter; got != 17*time.Second {
		t.Error(got)
	}
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{", "<html>", "null", `{"MessageId":""}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.WriteString(w, body); err != nil {
				t.Error(err)
			}
		}))
		_, err := connect(t, ses.Config{Endpoint: server.URL}).Send(t.Context(), message())
		wantFailure(t, err, ses.Ambiguous)
		server.Close()
	}
}

// listen serves raw connections, one after the other.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close() // the client may have been faster
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String()
}

func TestCutAfterTheRequestIsAmbiguous(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing":          "",
		"half a status":    "HTTP/1.1 20",
		"half the headers": "HTTP/1.1 200 OK\r\nContent-",
		"half the body":    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Mess",
		"not http":         "hello\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := listen(t, func(conn net.Conn) {
				request, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, request.Body); err != nil {
					return
				}
				if _, err := io.WriteString(conn, answer); err != nil {
					t.Error(err)
				}
			})
			_, err := connect(t, ses.Config{Endpoint: url}).Send(t.Context(), message())
			wantFailure(t, err, ses.Ambiguous)
		})
	}
}

func TestSilenceIsAmbiguous(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	url := listen(t, func(net.Conn) { <-release })
	client := connect(t, ses.Config{Endpoint: url, Timeout: 2 * time.Second})
	_, err := client.Send(t.Context(), message())
	close(release)
	wantFailure(t, err, ses.Ambiguous)
}

func TestNeverReachedIsUnreachable(t *testing.T) {
	t.Parallel()
	refused, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + refused.Addr().String()
	if err := refused.Close(); err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for name, endpoint := range map[string]string{
		"refused":            url,
		"no such host":       "http://ses.invalid",
		"no TLS on the line": strings.Replace(plain.URL, "http:", "https:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, ses.Config{Endpoint: endpoint, Timeout: 10 * time.Second})
			_, err := client.Send(t.Context(), message())
			wantFailure(t, err, ses.Unreachable)
			_, err = client.GetIdentity(t.Context(), "mail.test")
			wantFailure(t, err, ses.Unreachable)
		})
	}
}

func TestIdentityCallsThatFail(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	client := connect(t, ses.Config{Endpoint: server.URL, ConfigurationSet: "x"})
	ctx := t.Context()
	_, _, err := client.CreateIdentity(ctx, "a.test")
	wantFailure(t, err, ses.Misconfigured)
	_, err = client.GetIdentity(ctx, "a.test")
	wantFailure(t, err, ses.Misconfigured)
	wantFailure(t, client.SetMailFrom(ctx, "a.test", "b.a.test"), ses.Misconfigured)
	wantFailure(t, client.DeleteIdentity(ctx, "a.test"), ses.Misconfigured)
	wantFailure(t, client.EnsureConfigurationSet(ctx), ses.Misconfigured)
}
