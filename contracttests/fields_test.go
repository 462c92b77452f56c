package contracttests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

func addresses(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("user%d@example.com", i)
	}
	return strings.Join(list, ",")
}

// wrongFields maps members to values that the spec's schema or formats refuse, alone and in an item of a batch.
func wrongFields(from string) map[string][]any {
	wrong := map[string][]any{}
	for _, field := range []string{"from", "to", "subject"} {
		wrong[field+" absent"] = []any{"/" + field, field, absent}
		wrong[field+" null"] = []any{"/" + field, field, nil}
		wrong[field+" empty"] = []any{"/" + field, field, ""}
	}
	for _, field := range []string{
		"from", "fromName", "to", "cc", "bcc", "replyTo", "subject", "html", "text", "templateId", "variables", "tags",
	} {
		for kind, value := range map[string]any{
			"number": 5, "boolean": true, "list": []any{"user@example.com"}, "object": map[string]any{"a": "b"}, "text": "x y",
		} {
			text := slices.Contains([]string{"fromName", "subject", "html", "text"}, field)
			if kind == "object" && field == "variables" || kind == "text" && text {
				continue
			}
			wrong[field+" "+kind] = []any{"/" + field, field, value}
		}
	}
	for name, address := range map[string]string{
		"local part": "ä@example.com", "no domain": "user@", "no local part": "@example.com", "no at": "example.com",
		"two ats": "a@b@example.com", "one label": "user@localhost", "IP address": "user@127.0.0.1",
		"literal": "user@[127.0.0.1]", "space": "us er@example.com", "domain with space": "user@exam ple.com",
		"dot first": ".user@example.com", "dots": "us..er@example.com", "dot last": "user.@example.com",
		"empty label": "user@example..com", "final dot": "user@example.com.", "hyphen": "user@-example.com",
		"underscore": "user@ex_ample.com", "65 octets": strings.Repeat("a", 65) + "@example.com",
		"label of 64": "user@" + strings.Repeat("a", 64) + ".com", "name of 254": "user@" + strings.Repeat("ab.", 84) + "ab",
		"open quote": `"user@example.com`, "empty quotes": `""@example.com`, "scheme": "mailto:user@example.com",
		"open bracket": "<user@example.com", "closed bracket": "user@example.com>", "punycode": "user@xn--a.example",
		"only a name": "Sam", "C1": "us\u0085er@example.com", "separator": "us\u2028er@example.com",
		"route": "<@a.example:user@example.com>",
	} {
		for _, field := range []string{"from", "to", "cc", "bcc", "replyTo"} {
			wrong[field+" address "+name] = []any{"/" + field, field, address}
		}
	}
	for name, list := range map[string]string{
		"empty element": "user@example.com,,b@example.com", "comma last": "user@example.com,", "comma first": ", user@example.com",
		"only separators": ",;,", "group": "friends: user@example.com;", "open comment": "user@example.com (Sam",
		"second wrong": "user@example.com; b", "name unquoted": "a@b <user@example.com>", "51": addresses(51),
		"long name":   strings.Repeat("n", 201) + " <user@example.com>",
		"hidden feed": "=?utf-8?q?a=0D=0ABcc:_b@example.com?= <user@example.com>",
		"16 KiB":      strings.Repeat(" ", 16<<10) + "user@example.com",
	} {
		for _, field := range []string{"to", "cc", "bcc", "replyTo"} {
			wrong[field+" list "+name] = []any{"/" + field, field, list}
		}
	}
	long := strings.Repeat("x", 200) + " <" + strings.Repeat("a", 60) + "@" + strings.Repeat("b", 60) + ".example>,"
	wrong["replyTo too long when quoted"] = []any{"/replyTo", "replyTo", strings.Repeat(long, 49) + "user@example.com"}
	for name, sender := range map[string]string{
		"two": from + "," + from, "named": "Acme <" + from + ">", "in brackets": "<" + from + ">", "comment": from + " (Acme)",
	} {
		wrong["from "+name] = []any{"/from", "from", sender}
	}
	for name, tags := range map[string]string{
		"11": "a,b,c,d,e,f,g,h,i,j,k", "65": strings.Repeat("a", 65), "empty": "a,,b", "last": "a,", "space": "a b", "slash": "a/b",
		"ä": "ä", "long": strings.Repeat("a,", 600),
	} {
		wrong["tags "+name] = []any{"/tags", "tags", tags}
	}
	wrong["51 in three fields"] = []any{"/to", "to", addresses(17), "cc", addresses(17), "bcc", addresses(17)}
	wrong["51 in two fields"] = []any{"/to", "to", addresses(1), "bcc", addresses(50)}
	wrong["subject 999"] = []any{"/subject", "subject", strings.Repeat("🎉", 999)}
	wrong["fromName 201"] = []any{"/fromName", "fromName", strings.Repeat("🎉", 201)}
	wrong["from local part 65"] = []any{"/from", "from", strings.Repeat("a", 65) + strings.TrimPrefix(from, "hello")}
	wrong["no part"] = []any{"", "text", absent}
	wrong["null parts"] = []any{"", "text", nil, "html", nil}
	wrong["empty parts"] = []any{"", "text", "", "html", ""}
	wrong["variables alone"] = []any{"", "text", absent, "variables", map[string]any{"a": 1}}
	wrong["templateId braces"] = []any{"/templateId", "templateId", "{" + uuid.NewString() + "}"}
	wrong["templateId empty"] = []any{"/templateId", "templateId", ""}
	return wrong
}

// absent as a value leaves its member out.
var absent = new(struct{ string })

// emailWith returns the email with changes, and without the members that are absent.
func emailWith(from string, changes ...any) map[string]any {
	request := email(from, changes...)
	for name, value := range request {
		if value == absent {
			delete(request, name)
		}
	}
	return request
}

func TestWrongFields(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	for name, wrong := range wrongFields(from) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant.in(t).refusedBothWays(api.ProblemCodeValidationFailed, wrong[0].(string), emailWith(from, wrong[1:]...))
		})
	}
}

// refusedBothWays fails the test unless the message is refused with the code and the pointer, both alone and as an
// item.
func (t *tenant) refusedBothWays(code api.ProblemCode, pointer string, request any) {
	t.t.Helper()
	came := t.refused(singlePath, request)
	found := came.problem(http.StatusBadRequest, code)
	if named := slices.Compact(pointers(found)); !slices.Equal(named, []string{pointer}) {
		t.t.Errorf("names %q, want %q: %s", named, pointer, came.body)
	}
	came = t.refused(batchPath, map[string]any{"emails": []any{request}})
	item := decoded[api.BatchResult](came.is(http.StatusAccepted)).Results[0]
	if item.Status != api.SendStatusRejected || item.Code == nil || *item.Code != code || item.Error == nil || *item.Error == "" {
		t.t.Fatalf("item is %s", came.body)
	}
	if named := slices.Compact(pointers(api.Problem{Errors: item.Errors})); !slices.Equal(named, []string{pointer}) {
		t.t.Errorf("item names %q, want %q: %s", named, pointer, came.body)
	}
}

// TestControlCharacters tries every control character in every string.
func TestControlCharacters(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	var control []rune
	for r := rune(0); r <= 0x9f; r++ {
		if unicode.IsControl(r) {
			control = append(control, r)
		}
	}
	control = append(control, '\u2028', '\u2029')
	for field, value := range map[string]string{
		"from": from, "fromName": "Acme", "to": "Sam <user@example.com>", "cc": "Sam <user@example.com>",
		"bcc": "user@example.com", "replyTo": "user@example.com", "subject": "Welcome", "html": "<p>", "text": "Hi",
		"templateId": uuid.NewString(), "tags": "a,b",
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			tenant := tenant.in(t)
			body := field == "html" || field == "text"
			var items []any
			for _, r := range control {
				if body && (strings.ContainsRune("\t\n\r", r) || r > 0x7f) {
					continue
				}
				items = append(items, email(from, field, value[:1]+string(r)+value[1:]))
			}
			for _, item := range items[:3] {
				came := tenant.refused(singlePath, item)
				found := came.problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
				if !slices.Equal(slices.Compact(pointers(found)), []string{"/" + field}) {
					t.Errorf("names %q: %s", pointers(found), came.body)
				}
			}
			came := tenant.refused(batchPath, map[string]any{"emails": items})
			if answer := decoded[api.BatchResult](came.is(http.StatusAccepted)); answer.Rejected != len(items) {
				t.Errorf("of %d items %d were rejected: %s", len(items), answer.Rejected, came.body)
			}
		})
	}
	t.Run("line breaks in a header", func(t *testing.T) {
		t.Parallel()
		tenant := tenant.in(t)
		for _, field := range []string{"from", "fromName", "to", "cc", "bcc", "replyTo", "subject", "tags"} {
			for _, feed := range []string{"\r\n", "\n", "\r", "\r\n ", "\u0085", "\u2028"} {
				for _, value := range []string{feed + "Bcc: b@example.com", "user@example.com" + feed + "Bcc: b@example.com", "a" + feed} {
					tenant.refused(singlePath, email(from, field, value)).
						problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
				}
			}
		}
	})
}

func TestFieldsAtTheirLimits(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	domain := strings.TrimPrefix(from, "hello")
	for name, changes := range map[string][]any{
		"subject 998":        {"subject", strings.Repeat("🎉", 998)},
		"subject 1":          {"subject", "ä"},
		"fromName 200":       {"fromName", strings.Repeat("🎉", 200)},
		"name 200":           {"to", strings.Repeat("n", 200) + " <user@example.com>"},
		"local part 64":      {"from", strings.Repeat("a", 64) + domain},
		"subdomain":          {"from", "a@b.c." + domain[1:]},
		"tags 10":            {"tags", "a,b,c,d,e,f,g,h,i,j"},
		"tag 64":             {"tags", strings.Repeat("a", 64)},
		"tags of every kind": {"tags", "A-z_0.9"},
		"blank tags":         {"tags", "  "},
		"comments":           {"to", "user@example.com (Sam, or; Sally), (x) b@example.com"},
		"spaces":             {"to", "  user@example.com  ;  b@example.com  ", "from", " " + from + " "},
		"brackets":           {"to", "<user@example.com>", "replyTo", "<user@example.com>"},
		"html alone":         {"text", nil, "html", "x"},
		"many values":        {"variables", map[string]any{"a": float64(1<<53 - 1), "b": -(1<<53 - 1), "c": 1.5, "d": nil, "e": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant.in(t).send(email(from, changes...))
		})
	}
	fifty := map[string][]any{
		"one field":    {"to", addresses(50)},
		"three fields": {"to", addresses(20), "cc", addresses(20), "bcc", addresses(10)},
		"replyTo":      {"to", addresses(50), "replyTo", addresses(50)},
	}
	for name, changes := range fifty {
		t.Run("fifty in "+name, func(t *testing.T) {
			t.Parallel()
			tenant := tenant.in(t)
			if found := tenant.read(tenant.send(email(from, changes...))); len(found.Recipients) != 50 {
				t.Errorf("%d recipients", len(found.Recipients))
			}
		})
	}
}
