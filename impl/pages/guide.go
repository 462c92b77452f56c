package pages

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/voostack/mailstack/gen/api"
)

// guideFiles holds the guide to webhooks and its examples. Tests run the examples as they are shown.
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

// guideHandler serves the guide to webhooks. Its payload is the example in the spec.
func guideHandler(doc *openapi3.T) (http.Handler, error) {
	payload, err := examplePayload(doc)
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
	page, err := template.ParseFS(guideFiles, "guide/webhooks.html")
	if err != nil {
		return nil, fmt.Errorf("read the guide: %w", err)
	}
	var shown bytes.Buffer
	err = page.Execute(&shown, map[string]any{"Events": guideEvents(), "Payload": payload, "Examples": examples})
	if err != nil {
		return nil, fmt.Errorf("write the guide: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// A failed write means that the client has gone.
		_, _ = w.Write(shown.Bytes())
	}), nil
}

// examplePayload returns the example of the spec for the callback of createWebhook.
func examplePayload(doc *openapi3.T) (string, error) {
	for _, item := range doc.Paths.Map() {
		if item.Post == nil || item.Post.OperationID != "createWebhook" {
			continue
		}
		for _, callback := range item.Post.Callbacks {
			for _, target := range callback.Value.Map() {
				for _, example := range target.Post.RequestBody.Value.Content.Get("application/json").Examples {
					encoded, err := json.MarshalIndent(example.Value.Value, "", "  ")
					if err != nil {
						return "", fmt.Errorf("write the example of an event: %w", err)
					}
					return string(encoded), nil
				}
			}
		}
	}
	return "", errors.New("the document has no example of an event")
}
