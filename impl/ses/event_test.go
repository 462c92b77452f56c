package ses_test

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/ses"
)

// Bodies that SES publishes, shortened from its documentation.
const (
	mailPart = `"mail":{"timestamp":"2026-03-01T12:00:00.123Z","source":"a@b.test","messageId":"EXAMPLE7c191be45",` +
		`"destination":["user@example.com"],"tags":{"ses:configuration-set":["mailstack"],"mailstack-message-id":["0197b2c4-5a10-7cc3-9d4e-1f0a2b3c4d5e"]}}`
	bounceEvent = `{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General","bouncedRecipients":[{"emailAddress":` +
		`"user@example.com","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}],"timestamp":` +
		`"2026-03-01T12:00:02.5Z","feedbackId":"01000157c44f053b-61b59c11","reportingMTA":"dsn; mta.example.com"},` + mailPart + `}`
)

func TestParseEvent(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0197b2c4-5a10-7cc3-9d4e-1f0a2b3c4d5e")
	sentAt := time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC)
	event, err := ses.ParseEvent([]byte(bounceEvent))
	if err != nil {
		t.Fatal(err)
	}
	if event.Kind != ses.EventBounce || event.MessageID != id || event.ProviderMessageID != "EXAMPLE7c191be45" || !event.SentAt.Equal(sentAt) ||
		!event.At.Equal(time.Date(2026, 3, 1, 12, 0, 2, 500_000_000, time.UTC)) || event.Type != "Permanent" || event.Subtype != "General" ||
		event.FeedbackID != "01000157c44f053b-61b59c11" || len(event.Recipients) != 1 ||
		event.Recipients[0] != (ses.EventRecipient{Address: "user@example.com", Status: "5.1.1", Diagnostic: "smtp; 550 5.1.1 user unknown"}) {
		t.Errorf("a bounce is %+v", event)
	}
	for body, want := range map[string]ses.Event{
		`{"eventType":"Send",` + mailPart + `,"send":{}}`: {Kind: ses.EventSend},
		`{"eventType":"Delivery",` + mailPart + `,"delivery":{"timestamp":"2026-03-01T12:00:09Z","recipients":["user@example.com"],"smtpResponse":"250 ok"}}`: {
			Kind: ses.EventDelivery, Response: "250 ok", Recipients: []ses.EventRecipient{{Address: "user@example.com"}},
		},
		`{"notificationType":"Complaint",` + mailPart + `,"complaint":{"feedbackId":"f","complaintSubType":null,"complaintFeedbackType":"abuse","complainedRecipients":[{"emailAddress":"user@example.com"}]}}`: {
			Kind: ses.EventComplaint, Type: "abuse", FeedbackID: "f", Recipients: []ses.EventRecipient{{Address: "user@example.com"}},
		},
		`{"eventType":"Reject",` + mailPart + `,"reject":{"reason":"Bad content"}}`: {Kind: ses.EventReject, Reason: "Bad content"},
		`{"eventType":"Rendering Failure",` + mailPart + `,"failure":{"errorMessage":"no name"}}`: {
			Kind: ses.EventRenderingFailure, Reason: "no name",
		},
		`{"eventType":"Click",` + mailPart + `,"click":{"link":"https://a.test/","userAgent":"x","ipAddress":"192.0.2.1"}}`: {
			Kind: ses.EventClick, Link: "https://a.test/", UserAgent: "x", IPAddress: "192.0.2.1", Recipients: []ses.EventRecipient{{Address: "user@example.com"}},
		},
		`{"eventType":"Click",` + mailPart + `,"click":{"link":"https://b.test/","isBotEvent":"Likely"}}`: {
			Kind: ses.EventClick, Link: "https://b.test/", Automated: new(true), Recipients: []ses.EventRecipient{{Address: "user@example.com"}},
		},
		`{"eventType":"Open",` + mailPart + `,"open":{"userAgent":"x","isBotEvent":"Unlikely"}}`: {
			Kind: ses.EventOpen, UserAgent: "x", Automated: new(false), Recipients: []ses.EventRecipient{{Address: "user@example.com"}},
		},
		`{"eventType":"Open",` + mailPart + `,"open":{"userAgent":"y","isBotEvent":true}}`: {
			Kind: ses.EventOpen, UserAgent: "y", Recipients: []ses.EventRecipient{{Address: "user@example.com"}},
		},
		`{"eventType":"DeliveryDelay",` + mailPart + `,"deliveryDelay":{"delayType":"MailboxFull","delayedRecipients":[{"emailAddress":"user@example.com","status":"4.2.2"}]}}`: {
			Kind: ses.EventDelay, Type: "MailboxFull", Recipients: []ses.EventRecipient{{Address: "user@example.com", Status: "4.2.2"}},
		},
	} {
		got, err := ses.ParseEvent([]byte(body))
		if err != nil || got.Kind != want.Kind || got.MessageID != id || got.Response != want.Response || got.Reason != want.Reason ||
			got.Type != want.Type || got.FeedbackID != want.FeedbackID || got.Link != want.Link || got.UserAgent != want.UserAgent ||
			got.IPAddress != want.IPAddress || len(got.Recipients) != len(want.Recipients) || got.At.IsZero() ||
			(got.Automated == nil) != (want.Automated == nil) || got.Automated != nil && *got.Automated != *want.Automated {
			t.Errorf("%s\nis %+v, want %+v: %v", body, got, want, err)
			continue
		}
		for i := range want.Recipients {
			if got.Recipients[i] != want.Recipients[i] {
				t.Errorf("%s\nconcerns %+v", body, got.Recipients[i])
			}
		}
	}
	for _, body := range []string{
		"", "Successfully validated SNS topic for Amazon SES event publishing.", "{}", "[]", `{"eventType":"Send"}`, `{"eventType":1}`,
	} {
		if event, err := ses.ParseEvent([]byte(body)); err == nil {
			t.Errorf("%q is %+v", body, event)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(bounceEvent))
	f.Add([]byte(`{"eventType":"Open","mail":{"messageId":"a","tags":{"mailstack-message-id":"x"}},"open":{"userAgent":"\u0000"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := ses.ParseEvent(body)
		if err != nil {
			return
		}
		for _, text := range []string{event.ProviderMessageID, event.Reason, event.UserAgent, event.Link, event.FeedbackID, event.Subtype} {
			if len(text) > 600 || !utf8.ValidString(text) {
				t.Errorf("kept %q", text)
			}
		}
		if len(event.Recipients) > 100 {
			t.Errorf("%d recipients", len(event.Recipients))
		}
	})
}
