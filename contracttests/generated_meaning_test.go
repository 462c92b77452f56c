package contracttests

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/net/idna"

	"github.com/voostack/mailstack/contracttests/generate"
	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/mail"
)

// world is an organization with all resources that requests can name.
type world struct {
	*tenant
	domain    string
	published uuid.UUID
	// revoked is a revoked key.
	revoked string
	// weak is a key with few scopes that expires soon.
	weak        string
	weakScopes  []string
	weakExpires time.Time
	// times are some times around weakExpires.
	times []string
	// existing makes or finds the resource that an operation's id can name. Add every new operation with an id:
	// without an entry, all its ids name nothing.
	existing map[string]func(*world) uuid.UUID
	// foreign are ids of another organization.
	foreign []uuid.UUID
}

func newWorld(s *stack) *world {
	tenant, from := s.newSender()
	tenant.setBilling(false, nil, math.MaxInt32, 40)
	tenant.suppress(suppressed)
	w := &world{
		tenant: tenant, domain: strings.TrimPrefix(from, "hello@"),
		published:  tenant.template("<p>"+placeholder+"</p>", "Hi", true),
		weakScopes: []string{"api-keys:write", "emails:send"}, weakExpires: s.clock.now().Add(24 * time.Hour).Truncate(time.Second),
	}
	for _, by := range []time.Duration{-time.Hour, 0, time.Second} {
		w.times = append(w.times, w.weakExpires.Add(by).Format(time.RFC3339))
	}
	_, w.weak = tenant.insertKey("weak", w.weakScopes, &w.weakExpires)
	gone, key := tenant.insertKey("gone", apikey.Scopes(), nil)
	w.revoked = key
	tenant.call(http.MethodDelete, "/v1/api-keys/"+gone.String(), nil).is(http.StatusNoContent)

	sent := tenant.send(email(from, "tags", "a"))
	for range 3 {
		sent = tenant.send(email(from))
	}
	pending := tenant.register("pending." + w.domain).ID
	w.existing = map[string]func(*world) uuid.UUID{
		"getEmail":     func(*world) uuid.UUID { return sent },
		"getDomain":    func(*world) uuid.UUID { return pending },
		"verifyDomain": func(*world) uuid.UUID { return pending },
		"deleteDomain": (*world).shortLived,
		"getApiKey":    func(*world) uuid.UUID { return gone },
		"revokeApiKey": func(*world) uuid.UUID { return gone },
	}
	for _, operation := range []string{
		"getTemplate", "updateTemplate", "publishTemplate", "previewTemplate", "listTemplateVersions", "getTemplateVersion",
	} {
		w.existing[operation] = (*world).templateAsNew
	}
	w.existing["deleteTemplate"] = func(w *world) uuid.UUID { return w.template("", "Hi", false) }
	other, sender := s.newSender()
	other.suppress(theirs)
	w.foreign = []uuid.UUID{
		other.id, other.keyID, other.send(email(sender)), other.register("sub." + strings.TrimPrefix(sender, "hello@")).ID,
		other.template("", "Hi", true),
	}
	return w
}

// shortLived returns a domain to delete; it may have survived the last attempt.
func (w *world) shortLived() uuid.UUID {
	w.t.Helper()
	name := "short-lived." + w.domain
	for _, found := range decoded[api.DomainList](w.call(http.MethodGet, "/v1/domains", nil).is(http.StatusOK)) {
		if found.Domain == name {
			return found.ID
		}
	}
	return w.register(name).ID
}

// in returns the world for one attempt.
func (w *world) in(t testing.TB) *world {
	same := *w
	same.tenant = w.tenant.in(t)
	return &same
}

// meanings predict the response to a body that the schema allows, by the spec's prose: a status and the reason, 0
// for success. They use no code of the server.
var meanings = map[string]func(*generated, generate.Object) (int, string){
	"sendEmail":       meaningOfEmail,
	"createDomain":    meaningOfDomain,
	"createApiKey":    meaningOfKey,
	"createTemplate":  meaningOfTemplate,
	"updateTemplate":  meaningOfEdit,
	"previewTemplate": meaningOfPreview,
	"createWebhook": func(g *generated, _ generate.Object) (int, string) {
		if made := g.world.call(http.MethodGet, webhooksPath+"?limit=100", nil); len(decoded[api.WebhookList](made).Data) >= 20 {
			return http.StatusConflict, "as many webhooks as there may be"
		}
		return 0, ""
	},
	"updateWebhook": func(*generated, generate.Object) (int, string) { return 0, "" },
}

func meaningOfDomain(g *generated, body generate.Object) (int, string) {
	name, err := idna.Punycode.ToASCII(strings.ToLower(strings.TrimSuffix(body.Text("domain"), ".")))
	must(g.world.t, err)
	mailFrom := body.Text("mailFromSubdomain")
	if mailFrom == "" {
		mailFrom = "mail"
	}
	switch {
	case len(name) > 209, len(mailFrom)+1+len(name) > 253:
		return http.StatusBadRequest, "names too long in DNS"
	case name == g.world.domain:
		return http.StatusConflict, "a domain that is registered"
	}
	return 0, ""
}

// meaningOfKey draws the key that makes the request.
func meaningOfKey(g *generated, body generate.Object) (int, string) {
	scopes, _ := body.Get("scopes").([]any)
	at, err := time.Parse(time.RFC3339, body.Text("expiresAt"))
	expires := err == nil
	switch {
	case strings.TrimSpace(body.Text("name")) == "":
		return http.StatusBadRequest, "a blank name"
	case expires && !at.After(g.world.clock.now()):
		return http.StatusBadRequest, "a time that has passed"
	}
	if len(g.wrong) > 0 || len(scopes)%2 == 0 {
		return 0, ""
	}
	g.header.Set("Authorization", "Bearer "+g.world.weak)
	var names []string
	for _, scope := range scopes {
		names = append(names, scope.(string))
	}
	if len(apikey.Missing(g.world.weakScopes, names)) > 0 || !expires || at.After(g.world.weakExpires) {
		return http.StatusForbidden, "more than the creating key has"
	}
	return 0, ""
}

func meaningOfEmail(g *generated, body generate.Object) (int, string) {
	for _, rule := range []func(*world, generate.Object) string{senderFault, recipientFault, templateFault} {
		if why := rule(g.world, body); why != "" {
			return http.StatusBadRequest, why
		}
	}
	return 0, ""
}

func senderFault(w *world, body generate.Object) string {
	from := body.Text("from")
	domain := strings.ToLower(strings.TrimSpace(from[strings.LastIndex(from, "@")+1:]))
	if domain != w.domain && !strings.HasSuffix(domain, "."+w.domain) {
		return "a domain that is not verified"
	}
	return ""
}

func recipientFault(_ *world, body generate.Object) string {
	var all strings.Builder
	for _, field := range []string{"to", "cc", "bcc"} {
		all.WriteString(body.Text(field))
	}
	switch {
	case strings.Count(all.String(), countable) > 50:
		return "more than 50 recipients"
	case strings.Contains(strings.ToLower(strings.ReplaceAll(all.String(), `"`, "")), suppressed):
		return "a suppressed recipient"
	}
	return ""
}

// templateFault renders the message as far as generated texts need it.
func templateFault(w *world, body generate.Object) string {
	html, text, subject := body.Text("html"), body.Text("text"), body.Text("subject")
	template := body.Text("templateId")
	if template != "" && !strings.EqualFold(template, w.published.String()) {
		return "a template that there is not"
	}
	if template != "" {
		html, text = orElse(html, "<p>"+placeholder+"</p>"), orElse(text, "Hi")
	}
	if html == "" && text == "" {
		return "neither html nor text"
	}
	variables, given := body.Get("variables").(generate.Object)
	if !given && template == "" {
		return ""
	}
	if why := variablesFault(variables); why != "" {
		return why
	}
	if !strings.Contains(subject+html+text, placeholder) {
		return ""
	}
	name, shown := shownAs(variables.Get("name"))
	subject = strings.ReplaceAll(subject, placeholder, name)
	switch {
	case !shown:
		return "a variable without a value to show"
	case strings.ReplaceAll(html+text, placeholder, name) == "":
		return "nothing left when rendered"
	case subject == "", utf8.RuneCountInString(subject) > 998, mail.CheckHeaderText(subject) != nil:
		return "a rendered subject that may not be"
	}
	return ""
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func shownAs(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case bool:
		return strconv.FormatBool(value), true
	case json.Number:
		number, err := value.Float64()
		return strconv.FormatFloat(number, 'f', -1, 64), err == nil
	}
	return "", false
}

// variablesFault checks variables by the spec's prose.
func variablesFault(variables generate.Object) string {
	count := 0
	var look func(value any, level int) string
	look = func(value any, level int) string {
		if count++; count > 20_001 {
			return "too many values"
		}
		var inner []any
		switch value := value.(type) {
		case string:
			if strings.ContainsFunc(value, func(r rune) bool { return (r < ' ' || r == 0x7f) && !strings.ContainsRune("\t\r\n", r) }) {
				return "a control character in a variable"
			}
			return ""
		case json.Number:
			if number, err := value.Float64(); err != nil || math.Abs(number) >= 1<<53 {
				return "a number out of range"
			}
			return ""
		case []any:
			inner = value
		case generate.Object:
			for _, member := range value {
				named := strings.ContainsFunc(member.Name, func(r rune) bool { return r < ' ' || r == 0x7f })
				if named || member.Name == "" || len(member.Name) > 200 {
					return "a name that no variable has"
				}
				inner = append(inner, member.Value)
			}
		default:
			return ""
		}
		if level > 8 {
			return "nested more than 8 levels deep"
		}
		for _, one := range inner {
			if why := look(one, level+1); why != "" {
				return why
			}
		}
		return ""
	}
	return look(variables, 1)
}
