// Package compose turns requests into messages: it parses addresses, fills in templates and checks every rule that
// needs no lock. All entry points use it. It knows the schema of a request and no HTTP.
//
//   - compose.go: a request becomes a message
//   - render.go: subject, html and text with their variables filled in
//   - variables.go: which variables can be filled in
package compose

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/template"
)

const (
	maxRecipients = 50
	// maxSubject is in characters, as in the spec.
	maxSubject = 998
)

// Rendering is what the messages of one request share: templates are read and parsed once, and one budget bounds the
// rendering of all of them. It is not safe for concurrent use.
type Rendering struct {
	published map[uuid.UUID]db.TemplateGetPublishedRow
	parsed    map[source]*template.Template
	budget    template.Budget
}

// source is one part of a template.
type source struct {
	kind template.Part
	text string
}

// NewRendering returns the Rendering of a new request.
func NewRendering() *Rendering {
	return &Rendering{published: map[uuid.UUID]db.TemplateGetPublishedRow{}, parsed: map[source]*template.Template{}}
}

// parse returns the parsed template of a part.
func (r *Rendering) parse(kind template.Part, text string) (*template.Template, error) {
	if known, found := r.parsed[source{kind, text}]; found {
		return known, nil
	}
	parsed, err := template.Parse(kind, text)
	if err == nil {
		r.parsed[source{kind, text}] = parsed
	}
	return parsed, err
}

// Sender identifies the sender of a message.
type Sender struct{ OrganizationID, APIKeyID uuid.UUID }

// Composer turns requests into messages.
type Composer struct {
	Store *store.Store
	// Reserve reserves memory for a rendered message, which can be larger than the body of its request. Nil means
	// that no reservation is needed.
	Reserve func(ctx context.Context, bytes int64) error
	// TakeTurn waits until the request of ctx may render, because a template may take much processor time. Nil means at
	// once.
	TakeTurn func(ctx context.Context) error
}

// Compose makes the message of a request that the spec has accepted. It parses the addresses and renders the
// parts. A refusal is a *problem.Problem. Templates are read once per request: all items of a batch share rendering.
func (composer *Composer) Compose(
	ctx context.Context, sender Sender, request *api.SendEmailRequest, rendering *Rendering,
) (intake.Message, error) {
	message := intake.Message{OrganizationID: sender.OrganizationID, APIKeyID: sender.APIKeyID, FromName: request.FromName}
	if err := parseAddresses(&message, request); err != nil {
		return message, err
	}
	parts, err := composer.parts(ctx, sender.OrganizationID, request, rendering)
	if err != nil {
		return message, err
	}
	if parts.html == "" && parts.text == "" {
		return message, problem.Invalid(api.ProblemCodeValidationFailed, "", "at least one of html, text and templateId is required")
	}
	renders := request.Variables != nil || request.TemplateID != nil
	if renders && composer.TakeTurn != nil {
		if err := composer.TakeTurn(ctx); err != nil {
			return message, err
		}
	}
	if err := rendering.render(ctx, &message, request, parts); err != nil {
		return message, err
	}
	if renders {
		if composer.Reserve != nil {
			return message, composer.Reserve(ctx, int64(len(message.HTML)+len(message.Text)))
		}
	}
	return message, nil
}

// parseAddresses parses what the spec's formats have accepted. It returns the same parse errors as the formats.
func parseAddresses(message *intake.Message, request *api.SendEmailRequest) error {
	var err error
	if message.From, err = mail.ParseAddress(request.From); err != nil {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/from", err.Error())
	}
	if err := mail.CheckHeaderText(request.FromName); err != nil {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/fromName", err.Error())
	}
	for _, list := range []struct {
		field string
		given string
		into  *[]mail.Address
	}{
		{"/to", request.To, &message.To},
		{"/cc", request.Cc, &message.Cc},
		{"/bcc", request.Bcc, &message.Bcc},
		{"/replyTo", request.ReplyTo, &message.ReplyTo},
	} {
		if list.given == "" {
			continue
		}
		if *list.into, err = mail.ParseList(list.given); err != nil {
			return problem.Invalid(api.ProblemCodeValidationFailed, list.field, err.Error())
		}
		if len(*list.into) > maxRecipients {
			return tooManyRecipients(list.field)
		}
	}
	if len(message.To)+len(message.Cc)+len(message.Bcc) > maxRecipients {
		return tooManyRecipients("/to")
	}
	// The list is stored as text and parsed again when the message is sent; quoting a name makes it longer.
	if _, err := mail.ParseList(mail.FormatList(message.ReplyTo)); err != nil && len(message.ReplyTo) > 0 {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/replyTo", err.Error())
	}
	if message.Tags, err = mail.ParseTags(request.Tags); err != nil {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/tags", err.Error())
	}
	return nil
}

func tooManyRecipients(field string) *problem.Problem {
	return problem.Invalid(api.ProblemCodeValidationFailed, field,
		fmt.Sprintf("a message may have at most %d recipients", maxRecipients))
}

// sources are the parts of a message before rendering.
type sources struct{ html, text string }

// parts returns the request's parts, and the template's in the place of missing ones.
func (composer *Composer) parts(
	ctx context.Context, organizationID uuid.UUID, request *api.SendEmailRequest, rendering *Rendering,
) (sources, error) {
	parts := sources{html: request.HTML, text: request.Text}
	if request.TemplateID == nil {
		return parts, nil
	}
	stored, err := composer.publishedTemplate(ctx, organizationID, *request.TemplateID, rendering)
	if err != nil {
		return parts, err
	}
	return sources{html: cmp.Or(parts.html, stored.HTML), text: cmp.Or(parts.text, stored.Text)}, nil
}

// publishedTemplate reads a template once per request, however many items name it.
func (composer *Composer) publishedTemplate(
	ctx context.Context, organizationID, id uuid.UUID, rendering *Rendering,
) (db.TemplateGetPublishedRow, error) {
	if stored, found := rendering.published[id]; found {
		return stored, nil
	}
	stored, err := composer.Store.Queries().TemplateGetPublished(ctx, db.TemplateGetPublishedParams{
		OrganizationID: organizationID, ID: id,
	})
	if store.IsNoRows(err) {
		return stored, problem.Invalid(api.ProblemCodeTemplateNotPublished, "/templateId",
			"There is no such published template in your organization.")
	}
	if err != nil {
		return stored, fmt.Errorf("read the template: %w", err)
	}
	rendering.published[id] = stored
	return stored, nil
}
