package sessim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

func TestSendIsKeptAsItWasSent(t *testing.T) {
	t.Parallel()
	var hooked []string
	r := ready(t, sessim.Config{OnSend: func(a sessim.Accepted) { hooked = append(hooked, a.ProviderID) }})
	m := message()
	m.To = []string{"ada@example.com", `"Bob, B." <bob@example.com>`, "Jörg <j@example.com>"}
	m.Cc, m.Bcc, m.ReplyTo = []string{"cc@example.com"}, []string{"bcc@example.com"}, []string{"Reply <r@example.com>"}
	m.Tags = []string{"welcome", "v1.2"}
	id, err := r.client.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^0100[0-9a-f]{12}-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-000000$`).MatchString(id) {
		t.Error("id", id)
	}
	got, ok := r.Message(id)
	if !ok || len(hooked) != 1 || hooked[0] != id {
		t.Fatal("not kept, or not told:", ok, hooked)
	}
	wantTo := []string{"ada@example.com", `"Bob, B." <bob@example.com>`, "=?utf-8?q?J=C3=B6rg?= <j@example.com>"}
	if got.From != "=?utf-8?b?SsO2cmcgJiBTw7ZobmU=?= <hello@mail.test>" || !slices.Equal(got.To, wantTo) ||
		!slices.Equal(got.Cc, m.Cc) || !slices.Equal(got.Bcc, m.Bcc) || !slices.Equal(got.ReplyTo, m.ReplyTo) {
		t.Errorf("addresses %+v", got)
	}
	if got.Subject != m.Subject || got.HTML != m.HTML || got.Text != m.Text || got.ConfigurationSet != set {
		t.Errorf("content %+v", got)
	}
	if got.MessageID != m.ID.String() || len(got.Tags) != 1 {
		t.Errorf("tags %+v", got.Tags)
	}
	if s := r.Stats(); s.Accepted != 1 || s.Recipients != 5 || s.Distinct != 1 || s.Duplicates != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhoMaySend(t *testing.T) {
	t.Parallel()
	z := newZone()
	r := start(t, sessim.Config{Resolver: z})
	if err := r.client.EnsureConfigurationSet(t.Context()); err != nil {
		t.Fatal(err)
	}
	i, _, err := r.client.CreateIdentity(t.Context(), "acme.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.client.CreateIdentity(t.Context(), "one@single.test"); err != nil {
		t.Fatal(err)
	}
	send := func(from string) error {
		m := message()
		m.From = from
		_, err := r.client.Send(t.Context(), m)
		return err
	}
	err = send("a@acme.test")
	wantClass(t, err, ses.DomainNotReady)
	if want := "Email address is not verified. The following identities failed the check in region US-EAST-1: a@acme.test"; !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
	z.publishDKIM("acme.test", i.DKIMTokens)
	for from, want := range map[string]ses.Class{
		"a@acme.test":         "",
		"a@ACME.test":         "",
		"a@deep.in.acme.test": "",
		"a@notacme.test":      ses.DomainNotReady,
		"a@test.test":         ses.DomainNotReady,
		"one@single.test":     "",
		"two@single.test":     ses.DomainNotReady,
	} {
		if got := ses.ClassOf(send(from)); got != want {
			t.Errorf("from %s: %q, want %q", from, got, want)
		}
	}
}

func TestSandboxWantsVerifiedRecipients(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	no := false
	if err := r.SetAccount(sessim.AccountChange{ProductionAccess: &no}); err != nil {
		t.Fatal(err)
	}
	_, err := r.client.Send(t.Context(), message())
	wantClass(t, err, ses.DomainNotReady)
	for _, to := range []string{"somebody@mail.test", "bounce+label@simulator.amazonses.com", "success@simulator.amazonses.com"} {
		m := message()
		m.To = []string{to}
		if _, err := r.client.Send(t.Context(), m); err != nil {
			t.Error(to, err)
		}
	}
}

func TestMailFromThatMustNotFail(t *testing.T) {
	t.Parallel()
	z := newZone()
	r := start(t, sessim.Config{Resolver: z})
	i, _, err := r.client.CreateIdentity(t.Context(), "mail.test")
	if err != nil {
		t.Fatal(err)
	}
	z.publishDKIM("mail.test", i.DKIMTokens)
	if err := r.client.EnsureConfigurationSet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.client.SetMailFrom(t.Context(), "mail.test", "b.mail.test"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Error("the default is to fall back:", err)
	}
	if got := r.Messages()[0].MailFrom; got != "amazonses.com" {
		t.Error(got)
	}
	status, _, _ := r.call(t, http.MethodPut, "/v2/email/identities/mail.test/mail-from", `{"MailFromDomain":"b.mail.test","BehaviorOnMxFailure":"REJECT_MESSAGE"}`)
	if status != 200 {
		t.Error(status)
	}
	_, err = r.client.Send(t.Context(), message())
	wantClass(t, err, ses.DomainNotReady)
}

func TestRateIsCountedInRecipients(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := ready(t, sessim.Config{Now: c.Now, MaxPerSecond: 2})
	m := message()
	m.Cc = []string{"b@example.com", "c@example.com", "d@example.com"}
	if _, err := r.client.Send(t.Context(), m); err != nil {
		t.Fatal("the first passes as long as anything is left:", err)
	}
	_, err := r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Throttled)
	c.advance(time.Second) // 2 of 2 owed
	_, err = r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Throttled)
	c.advance(500 * time.Millisecond)
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
}

func TestDailyQuotaIsCountedInRecipients(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := ready(t, sessim.Config{Now: c.Now, Max24Hour: 3})
	m := message()
	m.Bcc = []string{"b@example.com", "c@example.com"}
	if _, err := r.client.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	q, err := r.client.GetQuota(t.Context())
	if err != nil || q.SentLast24Hours != 3 || q.Max24Hour != 3 || !q.SendingEnabled || !q.ProductionAccess || q.EnforcementStatus != "HEALTHY" {
		t.Errorf("%+v %v", q, err)
	}
	_, err = r.client.Send(t.Context(), message())
	wantClass(t, err, ses.QuotaExceeded)
	c.advance(24*time.Hour + time.Minute)
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Error("a day later:", err)
	}
}

func TestPausedAccount(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	if status, _, _ := r.call(t, http.MethodPut, "/v2/email/account/sending", `{"SendingEnabled":false}`); status != 200 {
		t.Fatal(status)
	}
	_, err := r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Paused)
	yes, shutdown := true, "SHUTDOWN"
	if err := r.SetAccount(sessim.AccountChange{SendingEnabled: &yes, EnforcementStatus: &shutdown}); err != nil {
		t.Fatal(err)
	}
	_, err = r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Paused)
	if q, err := r.client.GetQuota(t.Context()); err != nil || q.SendingEnabled {
		t.Error(q, err)
	}
}

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
		code  string // "" is accepted
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
		"wrong type":             {func(q request) { q["FromEmailAddress"] = 1 }, "SerializationException"},
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

// zeros is a body without an end.
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
		"":                   "MissingAuthenticationTokenException",
		"Bearer x":           "IncompleteSignatureException",
		"AWS4-HMAC-SHA256 x": "IncompleteSignatureException",
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

func TestConcurrentSendsAreAllKept(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{Journal: t.TempDir() + "/journal", KeepBodies: 10})
	const senders, each = 16, 25
	ids := make(chan string, senders*each)
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for range each {
				id, err := r.client.Send(t.Context(), message())
				if err != nil {
					t.Error(err)
				}
				ids <- id
				r.Messages()
				r.Stats()
			}
		})
	}
	group.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		seen[id] = true
	}
	records := r.Records(0, 1_000_000)
	if len(seen) != senders*each || len(records) != senders*each || len(r.Messages()) != 10 {
		t.Fatal(len(seen), len(records), len(r.Messages()))
	}
	for i, record := range records {
		if !seen[record.ProviderID] || record.Sequence != int64(i+1) {
			t.Fatal(record)
		}
	}
	if got := r.Records(390, 5); len(got) != 5 || got[0].Sequence != 391 {
		t.Error(got)
	}
	if newest := r.Messages()[0].ProviderID; newest != records[len(records)-1].ProviderID {
		t.Error("the newest is", newest)
	}
}

// Whatever a body holds, the answer is a message id or a refusal.
func FuzzSendEmail(f *testing.F) {
	whole, err := json.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(whole), "", "null", "{}", `{"Content":{"Simple":{"Subject":null}}}`, `{"Content":{"Simple":{"Subject":{},"Body":{"Text":{"Data":"x"}}}},"FromEmailAddress":"\"a@\"@b.c"}`} {
		f.Add(seed)
	}
	r := ready(f, sessim.Config{})
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v2/email/outbound-emails", strings.NewReader(body))
		q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=00")
		r.ServeHTTP(w, q)
		if !json.Valid(w.Body.Bytes()) || w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w.Code != 200 {
			return
		}
		for _, address := range append(r.Messages()[0].To, r.Messages()[0].From) {
			if strings.ContainsAny(address, "\r\n") || !strings.Contains(address, "@") {
				t.Errorf("accepted %q", address)
			}
		}
	})
}
