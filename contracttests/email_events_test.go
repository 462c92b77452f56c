package contracttests

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// events reads a page of a message's events.
func (t *tenant) events(id uuid.UUID, query url.Values) api.EmailEventList {
	t.t.Helper()
	return decoded[api.EmailEventList](t.call(http.MethodGet, singlePath+"/"+id.String()+"/events?"+query.Encode(), nil).is(http.StatusOK))
}

func (t *tenant) eventTypes(id uuid.UUID) []api.EmailEventType {
	t.t.Helper()
	var types []api.EmailEventType
	for _, one := range t.events(id, nil).Data {
		types = append(types, one.Type)
	}
	slices.Sort(types)
	return types
}

// The mailbox simulator's addresses: the whole way, from the send over SES and SNS to the status.
func TestWhatHappenedToAnEmail(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1", "2"} {
		t.Run("signature version "+version, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, options{worker: true, events: version})
			tenant, from := s.newSender()
			for _, test := range []struct {
				to         string
				status     api.EmailStatus
				types      []api.EmailEventType
				reason     string
				suppressed bool
			}{
				{"success@simulator.amazonses.com", "Delivered", []api.EmailEventType{"email.delivered", "email.sent"}, "", false},
				{"ooto+word@simulator.amazonses.com", "Delivered", []api.EmailEventType{"email.delivered", "email.sent"}, "", false},
				{"Ann <Bounce@simulator.amazonses.com>", "Bounced", []api.EmailEventType{"email.bounced", "email.sent"}, "550 5.1.1 user unknown", true},
				{"suppressionlist@simulator.amazonses.com", "Bounced", []api.EmailEventType{"email.bounced", "email.sent"}, "(Suppressed)", false},
				{"complaint@simulator.amazonses.com", "Complained", []api.EmailEventType{"email.complained", "email.delivered", "email.sent"}, "unwanted: abuse", true},
			} {
				id := tenant.send(email(from, "to", test.to))
				eventually(t, test.to+" is reported", func() bool {
					return slices.Equal(tenant.eventTypes(id), test.types) && tenant.read(id).Status == test.status
				})
				found := tenant.read(id)
				if found.Recipients[0].Status != test.status || found.ProviderMessageID == nil || found.SentAt == nil {
					t.Errorf("%s: read %+v", test.to, found)
				}
				if said := orEmpty(found.ErrorMessage); (test.reason == "") != (said == "") || !strings.Contains(said, test.reason) {
					t.Errorf("%s: the reason is %q", test.to, said)
				}
				again := tenant.call(http.MethodPost, singlePath, email(from, "to", test.to))
				if test.suppressed {
					again.problem(http.StatusBadRequest, api.ProblemCodeRecipientSuppressed)
					tenant.call(http.MethodPost, batchPath, batchOf(email(from, "to", test.to))).is(http.StatusAccepted)
				} else {
					again.is(http.StatusAccepted)
				}
			}
			// Emails of others are not found.
			other := tenant.send(email(from, "to", "user@example.com"))
			eventually(t, "another is sent", func() bool { return tenant.read(other).Status == api.EmailStatusSent })
		})
	}
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestOneRecipientOfSeveralBounces(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true, events: "1"})
	tenant, from := s.newSender()
	id := tenant.send(email(from, "to", "success@simulator.amazonses.com", "cc", "bounce@simulator.amazonses.com"))
	eventually(t, "all is reported", func() bool { return len(tenant.eventTypes(id)) == 3 })
	found := tenant.read(id)
	if found.Status != "Bounced" || found.Recipients[0].Status != "Delivered" || found.Recipients[1].Status != "Bounced" {
		t.Errorf("read %+v", found)
	}
	for _, one := range tenant.events(id, nil).Data {
		want := map[api.EmailEventType]string{
			"email.sent": "", "email.delivered": "success@simulator.amazonses.com", "email.bounced": "bounce@simulator.amazonses.com",
		}[one.Type]
		if orEmpty(one.Recipient) != want || one.OccurredAt.IsZero() || one.Type == "email.bounced" && (orEmpty(one.Data.BounceType) != "Permanent" || one.Detail == nil) {
			t.Errorf("event %+v", one)
		}
	}
}

// SES's response is lost, and its event shows that the message went out: it is not sent again.
func TestEventsTellWhatALostAnswerDidNot(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true, events: "2"})
	tenant, from := s.newSender()
	s.sim.SetFaults(sessim.Faults{DropAnswer: 1})
	id := tenant.send(email(from, "to", "success@simulator.amazonses.com"))
	// Events come in any order: the delivery may be known before the send.
	eventually(t, "it is sent and delivered", func() bool {
		found := tenant.read(id)
		return found.Status == api.EmailStatusDelivered && found.ProviderMessageID != nil && found.SentAt != nil &&
			slices.Contains(tenant.eventTypes(id), "email.sent")
	})
}

func TestEmailEventList(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	id, other := tenant.send(email(from)), tenant.send(email(from))
	if empty := tenant.events(id, nil); len(empty.Data) != 0 || empty.NextCursor != nil {
		t.Errorf("an empty list is %+v", empty)
	}
	var want []uuid.UUID
	for range 5 {
		event := uuid.Must(uuid.NewV7())
		want = append(want, event)
		tenant.execute(`INSERT INTO events (email_id, fact_key, id, organization_id, type, data, occurred_at)
			VALUES ($1, $2::uuid::text, $2, $3, 'email.opened', '{"userAgent":"x","reason":"why"}', now())`, id, event, tenant.id)
	}
	slices.Reverse(want)
	var got []uuid.UUID
	query := url.Values{"limit": {"2"}}
	for {
		page := tenant.events(id, query)
		for _, one := range page.Data {
			got = append(got, one.ID)
			if one.Recipient != nil || orEmpty(one.Detail) != "why" || orEmpty(one.Data.UserAgent) != "x" {
				t.Errorf("event %+v", one)
			}
		}
		if page.NextCursor == nil {
			break
		}
		query.Set("cursor", *page.NextCursor)
		event := uuid.Must(uuid.NewV7())
		tenant.execute(`INSERT INTO events (email_id, fact_key, id, organization_id, type, occurred_at)
			VALUES ($1, $2::uuid::text, $2, $3, 'email.opened', now())`, id, event, tenant.id)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	cursor := query.Get("cursor")
	for _, wrong := range []string{"?cursor=" + cursor, "?limit=0", "?limit=101", "?type=email.sent", "?cursor=AAAA"} {
		tenant.call(http.MethodGet, singlePath+"/"+other.String()+"/events"+wrong, nil).
			problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
	}
}

// posted collects the posts of the simulated SNS, as they are on the wire.
type posted struct {
	mu       sync.Mutex
	bodies   [][]byte
	headers  []http.Header
	endpoint *httptest.Server
}

func collect(t *testing.T) *posted {
	t.Helper()
	p := &posted{}
	p.endpoint = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.bodies, p.headers = append(p.bodies, body), append(p.headers, r.Header)
		if bytes.Contains(body, []byte("SubscribeURL")) {
			// The link belongs to our own simulator.
			link := decoded[struct{ SubscribeURL string }](answer{t: t, body: body}).SubscribeURL
			if response, err := http.Get(link); err == nil { //nolint:noctx // ends with the simulator
				_ = response.Body.Close()
			}
		}
	}))
	t.Cleanup(p.endpoint.Close)
	return p
}

func (p *posted) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.bodies)
}

// genuine returns a stack whose events go elsewhere first, with the genuine notification of a bounce.
func genuine(t *testing.T, vary options) (*stack, *tenant, uuid.UUID, []byte) {
	t.Helper()
	p := collect(t)
	vary.publishTo = p.endpoint.URL
	vary.events = "2"
	s := newStack(t, vary)
	tenant, from := s.newSender()
	id := tenant.send(email(from, "to", "bounce@simulator.amazonses.com"))
	_, err := s.mailer.RunOnce(t.Context())
	must(t, err)
	eventually(t, "all is posted", func() bool { return p.count() == 3 })
	for i, body := range p.bodies {
		header := p.headers[i]
		if header.Get("Content-Type") != "text/plain; charset=UTF-8" || header.Get("X-Amz-Sns-Topic-Arn") != eventsTopic ||
			!bytes.Contains(body, []byte(header.Get("X-Amz-Sns-Message-Type"))) {
			t.Errorf("posted with %v", header)
		}
		if bytes.Contains(body, []byte(`\"eventType\":\"Bounce\"`)) {
			return s, tenant, id, body
		}
	}
	t.Fatal("no bounce was posted")
	return nil, nil, uuid.Nil, nil
}

func (s *stack) post(body []byte) answer {
	return s.exchange(http.MethodPost, eventsPath, "", body, "Content-Type", "text/plain; charset=UTF-8")
}

func (s *stack) stored() (n int) {
	must(s.t, s.store.Pool().QueryRow(s.t.Context(), "SELECT count(*) FROM notifications").Scan(&n))
	return n
}

func TestForgedNotificationsAreRefused(t *testing.T) {
	t.Parallel()
	s, tenant, id, body := genuine(t, options{})
	alter := func(old, now string) []byte {
		if !bytes.Contains(body, []byte(old)) {
			t.Fatalf("no %q in %s", old, body)
		}
		return bytes.Replace(body, []byte(old), []byte(now), 1)
	}
	for name, forged := range map[string][]byte{
		"altered":              alter("user unknown", "user unknowm"),
		"another id":           alter(`"MessageId":"`, `"MessageId":"0`),
		"another topic":        alter(eventsTopic, strings.Replace(eventsTopic, "mailstack", "other", 1)),
		"another host":         alter(s.simURL+"/Simple", "https://evil.example/Simple"),
		"unknown certificate":  alter(".pem", "0.txt"),
		"no signature":         alter(`"Signature":"`, `"Signature":"AAAA`),
		"another version":      alter(`"SignatureVersion":"2"`, `"SignatureVersion":"1"`),
		"not of SNS":           []byte(`{"eventType":"Bounce"}`),
		"not JSON":             []byte("Bounce"),
		"empty":                nil,
		"a raw event, no wrap": []byte(`{"eventType":"Bounce","mail":{"messageId":"x"}}`),
	} {
		if found := s.post(forged).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed); !strings.Contains(found.Detail, "notification") {
			t.Errorf("%s: %q", name, found.Detail)
		}
	}
	s.post(bytes.Repeat([]byte("a"), 600<<10)).problem(http.StatusRequestEntityTooLarge, api.ProblemCodePayloadTooLarge)
	if n := s.stored(); n != 0 {
		t.Errorf("%d notifications are stored", n)
	}
	if read := tenant.read(id); read.Status != api.EmailStatusSent {
		t.Errorf("the message is %s", read.Status)
	}
}

func TestNotificationIsStoredOnce(t *testing.T) {
	t.Parallel()
	s, tenant, id, body := genuine(t, options{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { s.post(body).is(http.StatusOK) })
	}
	all.Wait()
	if n := s.stored(); n != 1 {
		t.Errorf("%d notifications are stored", n)
	}
	learn := func() {
		_, err := s.mailer.RunOnce(t.Context())
		must(t, err)
	}
	learn()
	if read := tenant.read(id); read.Status != "Bounced" {
		t.Errorf("the message is %s", read.Status)
	}
	// A replay changes nothing, even after its notification was deleted.
	s.post(body).is(http.StatusOK)
	s.clock.advance(72 * time.Hour)
	must(t, s.mailer.Events.DeleteExpired(t.Context()))
	if n := s.stored(); n != 0 {
		t.Errorf("%d notifications are kept", n)
	}
	tenant.execute("DELETE FROM suppressions WHERE organization_id = $1", tenant.id)
	s.post(body).is(http.StatusOK)
	learn()
	if events := tenant.events(id, nil).Data; len(events) != 2 {
		t.Errorf("the events are %+v", events)
	}
	tenant.call(http.MethodPost, singlePath, email(tenant.read(id).FromEmail, "to", "bounce@simulator.amazonses.com")).is(http.StatusAccepted)
}

// Without the database, SNS gets a status that makes it retry.
func TestNotificationWithoutDatabase(t *testing.T) {
	t.Parallel()
	postgres := storetest.Server(t)
	s, _, _, body := genuine(t, options{store: storetest.Open(t, postgres.DSN(devdb.Database))})
	must(t, postgres.Kill())
	s.post(body).problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
}

func TestNotificationsHaveARouteWhereSwitchedOn(t *testing.T) {
	t.Parallel()
	off := newStack(t)
	off.post([]byte("{}")).problem(http.StatusNotFound, api.ProblemCodeRouteNotFound)
	on := newStack(t, options{events: "1"})
	if !slices.Contains(on.server.Routes(), "POST "+eventsPath) {
		t.Errorf("the routes are %v", on.server.Routes())
	}
	if got := on.exchange(http.MethodGet, eventsPath, "", nil); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != http.MethodPost {
		t.Errorf("GET: %d, Allow %q", got.status, got.header.Get("Allow"))
	}
}
