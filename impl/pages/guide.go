package pages

import (
	"embed"
	"fmt"

	"github.com/voostack/mailstack/gen/api"
)

// guideFiles holds the examples of the guide. Tests run the examples as they are shown.
//
//go:embed guide
var guideFiles embed.FS

type guideExample struct{ Title, Language, Code string }

type guideEvent struct {
	Type  api.WebhookEventType
	About string
}

// guideEvents returns what each event means, in the order of the guide.
func guideEvents() []guideEvent {
	return []guideEvent{
		{api.WebhookEventTypeEmailSent, "Amazon SES has taken the message."},
		{api.WebhookEventTypeEmailDelivered, "The recipient's mail server has taken it."},
		{api.WebhookEventTypeEmailBounced, "The recipient's mail server refused it, at once or after SES stopped trying."},
		{api.WebhookEventTypeEmailComplained, "The recipient reported it as unwanted."},
		{api.WebhookEventTypeEmailFailed, "It could not be sent, or SES refused it after all."},
		{api.WebhookEventTypeEmailOpened, "It was opened."},
		{api.WebhookEventTypeEmailClicked, "A link in it was followed."},
		{api.WebhookEventTypeDomainVerified, "A sending domain is verified."},
		{api.WebhookEventTypeDomainUnverified, "A verified domain has lost its records and is pending again."},
		{api.WebhookEventTypeDomainFailed, "A domain was not verified within 72 hours."},
		{api.WebhookEventTypeOrganizationWarning, "Too much of your mail bounces or is complained about; sending may be paused."},
	}
}

// guide returns what the guide to webhooks shows. Its payload is the example in the document.
func (d *document) guide() (map[string]any, error) {
	payload, err := d.examplePayload()
	if err != nil {
		return nil, err
	}
	var examples []guideExample
	for _, one := range []struct{ title, language, file string }{
		{"Go", "go", "verify.go.txt"}, {"JavaScript", "js", "verify.js"}, {"Python", "python", "verify.py"},
	} {
		code, err := guideFiles.ReadFile("guide/" + one.file)
		if err != nil {
			return nil, fmt.Errorf("read an example of the guide: %w", err)
		}
		examples = append(examples, guideExample{one.title, one.language, string(code)})
	}
	return map[string]any{"Events": guideEvents(), "Payload": payload, "Examples": examples}, nil
}
