package contracttests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
)

const (
	singlePath = "/v1/emails"
	batchPath  = "/v1/emails/batch"
)

// asText returns the request as text, for tests that damage it.
func asText(t testing.TB, request any) string {
	t.Helper()
	encoded, err := json.Marshal(request)
	must(t, err)
	return string(encoded)
}

// with adds members, as they are, to the text of an object.
func with(text, members string) string { return strings.TrimSuffix(text, "}") + "," + members + "}" }

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	whole := asText(t, email(from))
	for name, damaged := range map[string]struct {
		body    any
		pointer string
	}{
		"none":                     {nil, ""},
		"empty":                    {"", ""},
		"blank":                    {" \r\n\t ", ""},
		"not JSON":                 {"from=hello@acme.test", ""},
		"truncated":                {whole[:len(whole)-1], ""},
		"truncated in a string":    {whole[:len(whole)-4], ""},
		"truncated everywhere":     {"{", ""},
		"trailing data":            {whole + "x", ""},
		"trailing bracket":         {whole + "}", ""},
		"trailing NUL":             {whole + "\x00", ""},
		"two documents":            {whole + "\n" + whole, ""},
		"byte order mark":          {"\ufeff" + whole, ""},
		"UTF-16":                   {"{\x00}\x00", ""},
		"comment":                  {"/* */" + whole, ""},
		"trailing comma":           {strings.TrimSuffix(whole, "}") + ",}", ""},
		"single quotes":            {"{'from':'a'}", ""},
		"not a number":             {with(whole, `"variables":{"a":NaN}`), "/variables/a"},
		"a number too large":       {with(whole, `"variables":{"a":1e999}`), ""},
		"a number with zeros":      {with(whole, `"variables":{"a":007}`), ""},
		"twice":                    {with(whole, `"subject":"Welcome"`), "/subject"},
		"twice, escaped":           {with(whole, `"s\u0075bject":"Welcome"`), "/subject"},
		"twice, nested":            {with(whole, `"variables":{"a":{"b":1,"b":2}}`), "/variables/a/b"},
		"twice, unknown":           {with(whole, `"a/b":1,"a/b":1`), "/a~1b"},
		"invalid UTF-8":            {with(whole, "\"html\":\"a\xffb\""), "/html"},
		"overlong UTF-8":           {with(whole, "\"html\":\"a\xc0\x80b\""), "/html"},
		"a surrogate in UTF-8":     {with(whole, "\"html\":\"\xed\xa0\x80\""), "/html"},
		"invalid UTF-8 in a name":  {with(whole, "\"variables\":{\"\xff\":1}"), "/variables"},
		"a high surrogate":         {with(whole, `"html":"\ud83d"`), "/html"},
		"a low surrogate":          {with(whole, `"html":"\udc00 and more text"`), "/html"},
		"surrogates in disorder":   {with(whole, `"html":"\udc00\ud83d"`), "/html"},
		"a surrogate in variables": {with(whole, `"variables":{"a":["\ud83d"]}`), "/variables/a/0"},
		"a raw control character":  {with(whole, "\"html\":\"a\x01\""), "/html"},
		"a raw line feed":          {with(whole, "\"html\":\"a\n\""), "/html"},
		"33 levels":                {with(whole, `"variables":{"a":`+nested(31)+`}`), ""},
		"200,001 values":           {with(whole, `"variables":{"a":[`+strings.Repeat("1,", 200_000)+`1]}`), ""},
		"200,001 members":          {with(whole, strings.Repeat(`"a":1,`, 200_000)+`"b":1`), ""},
		"many levels":              {strings.Repeat(`{"a":[`, 1<<20), ""},
	} {
		for _, path := range []string{singlePath, batchPath} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				body, prefix := damaged.body, ""
				if text, isText := body.(string); path == batchPath && isText && strings.HasPrefix(text, whole[:len(whole)-4]) {
					body, prefix = `{"emails":[`+text+`]}`, "/emails/0"
				}
				came := tenant.in(t).refused(path, body, "Content-Type", "application/json")
				found := came.problem(http.StatusBadRequest, api.ProblemCodeMalformedJSON)
				if named := pointers(found); damaged.pointer != "" && !slices.Equal(named, []string{prefix + damaged.pointer}) {
					t.Errorf("names %q: %s", named, came.body)
				}
			})
		}
	}
}

func TestDepth(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	whole := asText(t, email(from))
	// The object and its variables are the first two levels.
	tenant.refused(singlePath, with(whole, `"variables":{"a":`+nested(30)+`}`)).
		problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
	tenant.sends(1, 1, singlePath, with(whole, `"variables":{"a":`+nested(7)+`}`)).is(http.StatusAccepted)
	tenant.refused(singlePath, with(whole, `"variables":{"a":`+nested(8)+`}`)).
		problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
	// Brackets inside a string do not count as levels.
	brackets := strings.Repeat(`[{,\"`, 100_000)
	tenant.sends(1, 1, singlePath, with(whole, `"html":"`+brackets+`"`)).is(http.StatusAccepted)
}

// TestBodyCutOff: a client that stops in the middle of its body gets a problem, and nothing is accepted.
func TestBodyCutOff(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	whole := asText(t, email(from))
	for _, path := range []string{singlePath, batchPath} {
		var dialer net.Dialer
		connection, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(tenant.url, "http://"))
		must(t, err)
		_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, tenant.key, len(whole)+1, whole)
		must(t, err)
		half, _ := connection.(*net.TCPConn)
		must(t, half.CloseWrite())
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tenant.url+path, nil)
		must(t, err)
		response, err := http.ReadResponse(bufio.NewReader(connection), request)
		must(t, err)
		received, err := io.ReadAll(response.Body)
		must(t, err)
		must(t, response.Body.Close())
		seen := exchange{request: request, status: response.StatusCode, header: response.Header, body: received}
		(&recorder{contract: loadContract(t), ledger: &counted}).judge(t, seen)
		answer{t, response.StatusCode, response.Header, received, seen}.problem(http.StatusBadRequest, api.ProblemCodeMalformedJSON)
		must(t, connection.Close())
	}
	if found := tenant.rows(); found != (rows{}) {
		t.Errorf("left %+v", found)
	}
}

// TestHalfClosed: a client that sends its whole request and then closes its half of the connection reads the right
// response: a 202 for a stored message, or a problem.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	whole := asText(t, email(from))
	accepted := int64(0)
	for range 20 {
		var dialer net.Dialer
		connection, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(tenant.url, "http://"))
		must(t, err)
		_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", singlePath, tenant.key, len(whole), whole)
		must(t, err)
		half, _ := connection.(*net.TCPConn)
		must(t, half.CloseWrite())
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tenant.url+singlePath, nil)
		must(t, err)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.ReadResponse(bufio.NewReader(connection), request)
		must(t, err)
		received, err := io.ReadAll(response.Body)
		must(t, err)
		must(t, response.Body.Close())
		seen := exchange{request: request, sent: []byte(whole), status: response.StatusCode, header: response.Header, body: received}
		(&recorder{contract: loadContract(t), ledger: &counted}).judge(t, seen)
		if response.StatusCode == http.StatusAccepted {
			accepted++
		} else {
			answer{t, response.StatusCode, response.Header, received, seen}.problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
		}
		must(t, connection.Close())
	}
	if found := tenant.rows(); found.emails != accepted {
		t.Errorf("%d were accepted, %+v stored", accepted, found)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	for pointer, members := range map[string]string{
		"/sujbect":      `"sujbect":"x"`,
		"/Subject":      `"Subject":"x"`,
		"/FROM":         `"FROM":"x"`,
		"/templateid":   `"templateid":null`,
		"/reply_to":     `"reply_to":"x"`,
		"/attachments":  `"attachments":[]`,
		"/a~1b~0c":      `"a/b~c":1`,
		`/a"b\c`:        `"a\"b\\c":1`,
		"/ä🎉":           `"ä🎉":1`,
		"/":             `"":1`,
		"/a\x00\u0085b": `"a\u0000\u0085b":1`,
	} {
		t.Run(members, func(t *testing.T) {
			t.Parallel()
			came := tenant.in(t).refused(singlePath, with(asText(t, email(from)), members))
			found := came.problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
			if named := pointers(found); !slices.Equal(named, []string{pointer}) {
				t.Errorf("names %q, want %q: %s", named, pointer, came.body)
			}
		})
	}
	t.Run("many", func(t *testing.T) {
		t.Parallel()
		var members []string
		for i := range 5000 {
			members = append(members, fmt.Sprintf(`"%d%s":1`, i, strings.Repeat("x", 500)))
		}
		came := tenant.in(t).refused(singlePath, with(asText(t, email(from)), strings.Join(members, ",")))
		found := came.problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		if len(found.Errors) != 100 || len(came.body) > 100<<10 {
			t.Errorf("%d errors in %d bytes", len(found.Errors), len(came.body))
		}
	})
	for _, body := range []string{"null", "5", `"x"`, "[]", "true", "{}"} {
		for _, path := range []string{singlePath, batchPath} {
			tenant.refused(path, body).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	for _, media := range []string{
		"", "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"application/problem+json", "application/xml", "application/*", "*/*", "json", "application/json; charset=latin1",
		"application/json; charset=utf-16", "application/json; charset", "application/json;;", "application/json, text/plain",
	} {
		tenant.refused(singlePath, email(from), "Content-Type", media).
			problem(http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType)
	}
	for _, encoding := range []string{"gzip", "br", "deflate", "identity, gzip", "x"} {
		tenant.refused(singlePath, email(from), "Content-Encoding", encoding).
			problem(http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType)
	}
	// The type is checked before the size, and both before the text.
	tenant.refused(singlePath, filled(from, 11<<20), "Content-Type", "text/plain").
		problem(http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType)
	tenant.refused(batchPath, "{", "Content-Type", "text/plain").
		problem(http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType)
}

// filled returns the text of a message of exactly size bytes.
func filled(from string, size int) string {
	head := fmt.Sprintf(`{"from":%q,"to":"user@example.com","subject":"Welcome","text":"`, from)
	return head + strings.Repeat("x", size-len(head)-2) + `"}`
}

func TestBodySizes(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	const single, batch = 10 << 20, 20 << 20
	tenant.sends(1, 1, singlePath, filled(from, single)).is(http.StatusAccepted)
	for path, limit := range map[string]int{singlePath: single, batchPath: batch} {
		over := strings.Repeat(" ", limit+1)
		came := tenant.refused(path, over)
		came.problem(http.StatusRequestEntityTooLarge, api.ProblemCodePayloadTooLarge)

		// A body of unknown length is sent in chunks.
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tenant.url+path,
			io.MultiReader(bytes.NewReader([]byte(over))))
		must(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+tenant.key)
		tenant.do(request).problem(http.StatusRequestEntityTooLarge, api.ProblemCodePayloadTooLarge)
	}
	tenant.refused(batchPath, strings.Repeat(" ", batch)).problem(http.StatusBadRequest, api.ProblemCodeMalformedJSON)
	if found := tenant.rows(); found.emails != 1 {
		t.Errorf("left %+v", found)
	}
}

const mergePatchType = "application/merge-patch+json"

// A PATCH takes a merge patch (RFC 7396) by its own media type, and names it where another one came (RFC 5789).
func TestPatchTakesMergePatches(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	w := newScene(t, s, owner.key, from, s.clock.now().Add(time.Hour))
	w.furnish()
	seen := 0
	for _, op := range operations(t, withBody) {
		r := w.succeeding(op)
		path := op.within(r.id, r.deliveryID)
		refused := owner.call(op.method, path, r.body, "Content-Type", "text/plain")
		refused.problem(http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType)
		if op.method != http.MethodPatch {
			owner.call(op.method, path, r.body, "Content-Type", mergePatchType).is(http.StatusUnsupportedMediaType)
			if refused.header.Get("Accept-Patch") != "" {
				t.Errorf("%s is no PATCH and accepts one", op.id)
			}
			continue
		}
		seen++
		if got := refused.header.Get("Accept-Patch"); got != mergePatchType+", application/json" {
			t.Errorf("%s: Accept-Patch is %q", op.id, got)
		}
		want := owner.call(op.method, path, r.body).is(http.StatusOK)
		for _, media := range []string{mergePatchType, "Application/Merge-Patch+JSON; charset=utf-8"} {
			got := owner.call(op.method, path, r.body, "Content-Type", media).is(http.StatusOK)
			if withoutUpdatedAt(got) != withoutUpdatedAt(want) {
				t.Errorf("%s as %s: %s, as JSON %s", op.id, media, got.body, want.body)
			}
		}
		owner.call(op.method, path, `[]`, "Content-Type", mergePatchType).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
	}
	if seen == 0 {
		t.Error("there is no PATCH")
	}
	// Null takes a member away, what is left out stays.
	path := templatesPath + "/" + w.template.id
	owner.call(http.MethodPatch, path, `{"subject":"Hello","text":"Hi","html":"<p>Hi</p>"}`, "Content-Type", mergePatchType).is(http.StatusOK)
	edited := owner.call(http.MethodPatch, path, `{"subject":null,"text":"Ho"}`, "Content-Type", mergePatchType).is(http.StatusOK)
	if found := decoded[api.Template](edited); found.Subject != nil || *found.Text != "Ho" || *found.HTML != "<p>Hi</p>" {
		t.Errorf("patched to %s", edited.body)
	}
}

func withoutUpdatedAt(a answer) string {
	members := decoded[map[string]any](a)
	delete(members, "updatedAt")
	encoded, _ := json.Marshal(members) // it was JSON before
	return string(encoded)
}
