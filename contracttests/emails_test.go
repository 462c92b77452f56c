package contracttests

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/sessim"
)

// accepted is a request that is accepted, with the email that GET shows and the message that SES receives.
type accepted struct {
	name     string
	request  map[string]any
	headers  []string
	shown    api.Email
	received sessim.Accepted
}

func acceptedShapes(from string) []accepted {
	person := "user@example.com"
	domain := strings.TrimPrefix(from, "hello@")
	fifty := strings.Repeat(person+", ", 49) + person
	return []accepted{
		{
			"least", email(from), nil,
			api.Email{ToEmail: person},
			sessim.Accepted{To: []string{person}, Text: "Hi"},
		},
		{
			"null is absent",
			email(from, "fromName", nil, "cc", nil, "bcc", nil, "replyTo", nil, "html", nil, "templateId", nil,
				"variables", nil, "tags", nil), nil,
			api.Email{ToEmail: person},
			sessim.Accepted{To: []string{person}, Text: "Hi"},
		},
		{
			"html alone", email(from, "text", nil, "html", "<p>\tHi\r\n</p>"),
			[]string{"Content-Type", "Application/JSON; Charset=UTF-8"},
			api.Email{ToEmail: person},
			sessim.Accepted{To: []string{person}, HTML: "<p>\tHi\r\n</p>"},
		},
		{
			"everything",
			email(from, "fromName", `Acme "Ö", Ltd.`, "to", `Sam <user@example.com>; "Day, Ada; B" <Ada@Example.COM>`,
				"cc", "copy@example.com", "bcc", "Archive <archive@example.com>, b@example.com",
				"replyTo", "support@example.com; Sales <sales@example.com>", "subject", "Grüße 🎉",
				"html", "<p>Hi</p>", "tags", " welcome , b.2,welcome"),
			[]string{"Content-Type", `application/json; charset="utf-8"`, "Content-Encoding", "identity"},
			api.Email{
				FromName: new(`Acme "Ö", Ltd.`), ToEmail: `"Sam" <user@example.com>, "Day, Ada; B" <Ada@example.com>`,
				Cc: new("copy@example.com"), Bcc: new(`"Archive" <archive@example.com>, b@example.com`),
				ReplyTo: new(`support@example.com, "Sales" <sales@example.com>`), Subject: "Grüße 🎉",
				Tags: new("welcome,b.2"),
				Recipients: []api.EmailRecipient{
					{Email: person, Kind: "to"},
					{Email: "Ada@example.com", Kind: "to"},
					{Email: "copy@example.com", Kind: "cc"},
					{Email: "archive@example.com", Kind: "bcc"},
					{Email: "b@example.com", Kind: "bcc"},
				},
			},
			sessim.Accepted{
				From: "=?utf-8?b?QWNtZSAiw5YiLCBMdGQu?= <" + from + ">",
				To:   []string{`"Sam" <user@example.com>`, `"Day, Ada; B" <Ada@example.com>`},
				Cc:   []string{"copy@example.com"}, Bcc: []string{`"Archive" <archive@example.com>`, "b@example.com"},
				ReplyTo: []string{"support@example.com", `"Sales" <sales@example.com>`}, Subject: "Grüße 🎉",
				HTML: "<p>Hi</p>", Text: "Hi",
			},
		},
		{
			"internationalised", email("HELLO@News."+domain, "to", "Jörg <joerg@BÜCHER.example>"), nil,
			api.Email{
				FromEmail: "HELLO@news." + domain, ToEmail: `"Jörg" <joerg@xn--bcher-kva.example>`,
				Recipients: []api.EmailRecipient{{Email: "joerg@xn--bcher-kva.example", Kind: "to"}},
			},
			sessim.Accepted{
				From: "HELLO@news." + domain, To: []string{"=?utf-8?b?SsO2cmc=?= <joerg@xn--bcher-kva.example>"}, Text: "Hi",
			},
		},
		{
			"empty lists", email(from, "cc", "", "bcc", "", "replyTo", "", "tags", "", "fromName", "", "html", ""), nil,
			api.Email{ToEmail: person},
			sessim.Accepted{To: []string{person}, Text: "Hi"},
		},
		{
			"fifty", email(from, "to", fifty), nil,
			api.Email{ToEmail: fifty},
			sessim.Accepted{To: strings.Split(fifty, ", "), Text: "Hi"},
		},
		{
			"quoted local part", email(from, "to", `"a,b;c"@example.com`), nil,
			api.Email{
				ToEmail:    `"a,b;c"@example.com`,
				Recipients: []api.EmailRecipient{{Email: `"a,b;c"@example.com`, Kind: "to"}},
			},
			sessim.Accepted{To: []string{`"a,b;c"@example.com`}, Text: "Hi"},
		},
		{
			"braces without variables", email(from, "subject", "{{a}}", "text", "{{>b}} {{{c", "html", "{{&d}}"), nil,
			api.Email{ToEmail: person, Subject: "{{a}}"},
			sessim.Accepted{To: []string{person}, Subject: "{{a}}", Text: "{{>b}} {{{c", HTML: "{{&d}}"},
		},
	}
}

func TestSendEmailInEveryShape(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	shapes := acceptedShapes(from)
	ids := make([]uuid.UUID, len(shapes))
	for i, shape := range shapes {
		came := tenant.sends(1, shape.recipients(), "/v1/emails", shape.request, shape.headers...)
		queued := decoded[api.QueuedEmail](came.is(http.StatusAccepted))
		if ids[i] = queued.ID; queued.Status != api.SendStatusQueued || queued.ID.Version() != 7 {
			t.Errorf("%s: answered %+v", shape.name, queued)
		}
		same(t, shape.name+", queued", tenant.read(ids[i]), shape.expect(from, api.EmailStatusQueued, tenant.read(ids[i])))
	}
	s.startWorker()
	received := make(map[string]sessim.Accepted)
	eventually(t, "every message is received", func() bool { return len(s.sim.Messages()) == len(shapes) })
	for _, message := range s.sim.Messages() {
		received[message.MessageID] = message
	}
	for i, shape := range shapes {
		eventually(t, "the message is sent", func() bool { return tenant.read(ids[i]).Status == api.EmailStatusSent })
		found, arrived := tenant.read(ids[i]), received[ids[i].String()]
		if found.ProviderMessageID == nil || *found.ProviderMessageID != arrived.ProviderID || found.SentAt == nil {
			t.Errorf("%s: shown as %+v, received as %s", shape.name, found, arrived.ProviderID)
		}
		same(t, shape.name+", sent", found, shape.expect(from, api.EmailStatusSent, found))
		same(t, shape.name+", received", arrived, shape.expectReceived(from, arrived))
	}
}

func (shape accepted) recipients() int64 {
	return int64(len(shape.expect("", api.EmailStatusQueued, api.Email{}).Recipients))
}

// expect fills in what every shape has in common, and what only the server knows.
func (shape accepted) expect(from string, status api.EmailStatus, found api.Email) api.Email {
	want := shape.shown
	want.ID, want.Status = found.ID, status
	want.QueuedAt, want.CreatedAt, want.SentAt = found.QueuedAt, found.CreatedAt, found.SentAt
	want.ProviderMessageID = found.ProviderMessageID
	if status == api.EmailStatusQueued {
		want.SentAt, want.ProviderMessageID = nil, nil
	}
	if want.FromEmail == "" {
		want.FromEmail = from
	}
	if want.Subject == "" {
		want.Subject = "Welcome"
	}
	if want.Recipients == nil {
		for address := range strings.SplitSeq(want.ToEmail, ", ") {
			want.Recipients = append(want.Recipients, api.EmailRecipient{Email: address, Kind: "to"})
		}
	}
	want.Recipients = append([]api.EmailRecipient(nil), want.Recipients...)
	for i := range want.Recipients {
		want.Recipients[i].Status = status
	}
	return want
}

func (shape accepted) expectReceived(from string, arrived sessim.Accepted) sessim.Accepted {
	want := shape.received
	want.ProviderID, want.MessageID, want.ReceivedAt = arrived.ProviderID, arrived.MessageID, arrived.ReceivedAt
	want.Tags = []sessim.Tag{{Name: "mailstack-message-id", Value: arrived.MessageID}}
	want.ConfigurationSet = "mailstack"
	want.MailFrom = "mail." + strings.TrimPrefix(from, "hello@")
	want.Headers, want.Attachments, want.Suppressed = []sessim.Header{}, []sessim.Attachment{}, []string{}
	if want.From == "" {
		want.From = from
	}
	if want.Subject == "" {
		want.Subject = "Welcome"
	}
	for _, list := range []*[]string{&want.Cc, &want.Bcc, &want.ReplyTo} {
		if *list == nil {
			*list = []string{}
		}
	}
	return want
}

// same compares values by their JSON.
func same(t testing.TB, what string, found, want any) {
	t.Helper()
	got, err := json.Marshal(found)
	must(t, err)
	wanted, err := json.Marshal(want)
	must(t, err)
	if string(got) != string(wanted) {
		t.Errorf("%s:\n got %s\nwant %s", what, got, wanted)
	}
}

func TestGetEmailRefuses(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	id := tenant.send(email(from)).String()
	for _, malformed := range []string{"zzz", "1", id + "0", id[1:], "%7B" + id + "%7D", "urn:uuid:" + id, strings.ReplaceAll(id, "-", "")} {
		tenant.call(http.MethodGet, "/v1/emails/"+malformed, nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
	}
	tenant.call(http.MethodGet, "/v1/emails/"+strings.ToUpper(id), nil).is(http.StatusOK)

	other := s.newTenant()
	var bodies []string
	for _, absent := range []string{id, uuid.NewString(), uuid.Must(uuid.NewV7()).String(), uuid.Nil.String()} {
		came := other.call(http.MethodGet, "/v1/emails/"+absent, nil, "X-Request-Id", "same")
		came.problem(http.StatusNotFound, api.ProblemCodeNotFound)
		bodies = append(bodies, string(came.body))
	}
	for _, body := range bodies {
		if body != bodies[0] {
			t.Errorf("another organization's message answers %s, an absent one %s", bodies[0], body)
		}
	}
}
