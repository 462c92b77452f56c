package sessim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/sessim"
)

// request is a body of SendEmail that a test spoils.
type request map[string]any

func good() request {
	return request{
		"FromEmailAddress": "a@mail.test",
		"Destination":      map[string]any{"ToAddresses": []string{"b@example.com"}},
		"Content": map[string]any{"Simple": map[string]any{
			"Subject": map[string]any{"Data": "s"}, "Body": map[string]any{"Text": map[string]any{"Data": "t"}},
		}},
	}
}

func (r request) simple() map[string]any {
	return r["Content"].(map[string]any)["Simple"].(map[string]any)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	to := func(addresses ...string) func(request) {
		return func(q request) { q["Destination"] = map[string]any{"ToAddresses": addresses} }
	}
	tags := func(pairs ...string) func(request) {
		return func(q request) {
			list := []map[string]string{}
			for i := 0; i < len(pairs); i += 2 {
				list = append(list, map[string]string{"Name": pairs[i], "Value": pairs[i+1]})
			}
			q["EmailTags"] = list
		}
	}
	header := func(name, value string) func(request) {
		return func(q request) { q.simple()["Headers"] = []map[string]string{{"Name": name, "Value": value}} }
	}
	from := func(address string) func(request) { return func(q request) { q["FromEmailAddress"] = address } }
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf("r%d@example.com", i)
	}
	const bad = "BadRequestException"
	for name, c := range map[string]struct {
		spoil func(request)
		code  string // "" means accepted
	}{
		"as it is":               {func(request) {}, ""},
		"50 recipients":          {to(many[:50]...), ""},
		"51 recipients":          {to(many...), bad},
		"no recipients":          {to(), bad},
		"no at sign":             {to("nobody"), bad},
		"two addresses in one":   {to("a@example.com, b@example.com"), bad},
		"newline in an address":  {to("a@example.com\r\nBcc: x@example.com"), bad},
		"non-ASCII local part":   {to("jörg@example.com"), bad},
		"non-ASCII display name": {to("Jörg <j@example.com>"), bad},
		"encoded display name":   {to("=?utf-8?q?J=C3=B6rg?= <j@example.com>"), ""},
		"bare host":              {to("a@localhost"), bad},
		"local part too long":    {to(strings.Repeat("a", 65) + "@example.com"), bad},
		"no sender":              {from(""), bad},
		"newline in the sender":  {from("x\n <a@mail.test>"), bad},
		"unverified sender":      {from("a@other.test"), "MessageRejected"},
		"bad reply address":      {func(q request) { q["ReplyToAddresses"] = []string{"x"} }, bad},
		"newline in the subject": {func(q request) { q.simple()["Subject"] = map[string]any{"Data": "a\nb"} }, bad},
		"no subject":             {func(q request) { delete(q.simple(), "Subject") }, bad},
		"no body":                {func(q request) { q.simple()["Body"] = map[string]any{} }, bad},
		"no content":             {func(q request) { q["Content"] = map[string]any{} }, bad},
		"raw content":            {func(q request) { q["Content"] = map[string]any{"Raw": map[string]any{"Data": "eA=="}} }, bad},
		"tag":                    {tags("a-b_C", "1-2_3"), ""},
		"tag value with a dot":   {tags("a", "1.2"), bad},
		"tag name with a space":  {tags("a b", "1"), bad},
		"tag value of 256":       {tags("a", strings.Repeat("x", 256)), ""},
		"tag value of 257":       {tags("a", strings.Repeat("x", 257)), bad},
		"empty tag value":        {tags("a", ""), bad},
		"tag twice":              {tags("a", "1", "a", "2"), bad},
		"header":                 {header("List-Unsubscribe", "<https://example.com>"), ""},
		"header with a newline":  {header("X-A", "a\r\nBcc: b@example.com"), bad},
		"header name with colon": {header("X:A", "a"), bad},
		"header that SES sets":   {header("Subject", "a"), bad},
		"header value too long":  {header("X-A", strings.Repeat("a", 996)), bad},
		"unknown set":            {func(q request) { q["ConfigurationSetName"] = "nope" }, "NotFoundException"},
		"wrong type":             {func(q request) { q["FromEmailAddress"] = 1 }, "BadRequestException"},
		"unknown member":         {func(q request) { q["Future"] = 1 }, ""},
		"mailbox simulator":      {to("complaint+x@simulator.amazonses.com"), ""},
		"attachment": {func(q request) {
			q.simple()["Attachments"] = []any{map[string]any{"FileName": "a.txt", "RawContent": "eA=="}}
		}, ""},
		"attachment without name": {func(q request) { q.simple()["Attachments"] = []any{map[string]any{"RawContent": "eA=="}} }, bad},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := good()
			c.spoil(q)
			body, err := json.Marshal(q)
			if err != nil {
				t.Fatal(err)
			}
			status, header, answer := r.call(t, http.MethodPost, "/v2/email/outbound-emails", string(body))
			if got := header.Get("X-Amzn-ErrorType"); got != c.code {
				t.Fatalf("%d %q, want %q: %v", status, got, c.code, answer)
			}
			if header.Get("X-Amzn-RequestId") == "" {
				t.Error("no request id")
			}
			if c.code == "" && (status != 200 || answer["MessageId"] == "") {
				t.Error(status, answer)
			}
			if c.code != "" && (answer["__type"] != c.code || answer["message"] == "") {
				t.Error(answer)
			}
		})
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	text := strings.Repeat("x", 40<<20)
	body := `{"FromEmailAddress":"a@mail.test","Destination":{"ToAddresses":["b@example.com"]},` +
		`"Content":{"Simple":{"Subject":{"Data":"s"},"Body":{"Text":{"Data":"` + text + `"}}}}}`
	for name, reader := range map[string]io.Reader{"40 MiB and a subject": strings.NewReader(body), "endless": zeros{}} {
		w := httptest.NewRecorder()
		q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v2/email/outbound-emails", reader)
		q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=00")
		r.ServeHTTP(w, q)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "Message length is more than") {
			t.Error(name, w.Code, w.Body)
		}
	}
	if n := r.Stats().Accepted; n != 0 {
		t.Error("accepted", n)
	}
}

func TestSignatureMustBeThere(t *testing.T) {
	t.Parallel()
	r := start(t, sessim.Config{})
	for authorization, code := range map[string]string{
		"":                   "MissingAuthenticationToken",
		"Bearer x":           "IncompleteSignature",
		"AWS4-HMAC-SHA256 x": "IncompleteSignature",
	} {
		status, header, _ := r.callSigned(t, http.MethodGet, "/v2/email/account", "", authorization)
		if status != 403 || header.Get("X-Amzn-ErrorType") != code {
			t.Errorf("%q: %d %v", authorization, status, header)
		}
	}
	status, header, _ := r.call(t, http.MethodGet, "/v2/email/nothing", "")
	if status != 404 || header.Get("X-Amzn-ErrorType") != "UnknownOperationException" {
		t.Error(status, header)
	}
}
