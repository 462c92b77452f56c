package impl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/template"
)

const (
	maxRecipients = 50
	// maxSubject is in characters, as the document has it.
	maxSubject = 998
	// inexact is the smallest integer that a JSON reader may have made from another one (RFC 8259, 6).
	inexact = 1 << 53
)

// templates are the published templates that a request has named so far, by id.
type templates map[uuid.UUID]db.TemplateGetPublishedRow

// compose turns a request into a message that is ready to be sent: addresses parsed, parts rendered. What it refuses is
// a *problem.
func (server *Server) compose(
	ctx context.Context, request *api.SendEmailRequest, known templates,
) (intake.Message, error) {
	key := callerOf(ctx)
	message := intake.Message{OrganizationID: key.organizationID, APIKeyID: key.keyID, FromName: request.FromName}
	if err := address(&message, request); err != nil {
		return message, err
	}
	parts, err := server.parts(ctx, request, known)
	if err != nil {
		return message, err
	}
	if parts.html == "" && parts.text == "" {
		return message, invalid(api.ProblemCodeValidationFailed, "", "at least one of html, text and templateId is required")
	}
	if err := render(&message, request, parts); err != nil {
		return message, err
	}
	if request.Variables != nil || request.TemplateID != nil {
		if space := heldOf(ctx); space != nil {
			return message, space.add(int64(len(message.HTML) + len(message.Text)))
		}
	}
	return message, nil
}

// address parses what the document's formats have let through; an error here is one of theirs.
func address(message *intake.Message, request *api.SendEmailRequest) error {
	var err error
	if message.From, err = mail.ParseAddress(request.From); err != nil {
		return invalid(api.ProblemCodeValidationFailed, "/from", err.Error())
	}
	if err := mail.CheckHeaderText(request.FromName); err != nil {
		return invalid(api.ProblemCodeValidationFailed, "/fromName", err.Error())
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
			return invalid(api.ProblemCodeValidationFailed, list.field, err.Error())
		}
		if len(*list.into) > maxRecipients {
			return tooManyRecipients(list.field)
		}
	}
	if len(message.To)+len(message.Cc)+len(message.Bcc) > maxRecipients {
		return tooManyRecipients("/to")
	}
	// The list is kept as text and read again at sending; quoting a name makes it longer.
	if _, err := mail.ParseList(mail.FormatList(message.ReplyTo)); err != nil && len(message.ReplyTo) > 0 {
		return invalid(api.ProblemCodeValidationFailed, "/replyTo", err.Error())
	}
	if message.Tags, err = mail.ParseTags(request.Tags); err != nil {
		return invalid(api.ProblemCodeValidationFailed, "/tags", err.Error())
	}
	return nil
}

func tooManyRecipients(field string) *problem {
	return invalid(api.ProblemCodeValidationFailed, field,
		fmt.Sprintf("a message may have at most %d recipients", maxRecipients))
}

// sources are the parts of a message before rendering.
type sources struct{ html, text string }

// parts takes the template's, where the request does not bring its own.
func (server *Server) parts(
	ctx context.Context, request *api.SendEmailRequest, known templates,
) (sources, error) {
	parts := sources{html: request.HTML, text: request.Text}
	if request.TemplateID == nil {
		return parts, nil
	}
	stored, err := server.publishedTemplate(ctx, *request.TemplateID, known)
	if err != nil {
		return parts, err
	}
	return sources{html: cmp.Or(parts.html, stored.HTML), text: cmp.Or(parts.text, stored.Text)}, nil
}

// publishedTemplate reads a template once per request, however many items name it.
func (server *Server) publishedTemplate(
	ctx context.Context, id uuid.UUID, known templates,
) (db.TemplateGetPublishedRow, error) {
	if stored, found := known[id]; found {
		return stored, nil
	}
	stored, err := server.config.Store.Queries().TemplateGetPublished(ctx, db.TemplateGetPublishedParams{
		OrganizationID: callerOf(ctx).organizationID, ID: id,
	})
	if store.IsNoRows(err) {
		return stored, invalid(api.ProblemCodeTemplateNotPublished, "/templateId",
			"There is no such published template in your organization.")
	}
	if err != nil {
		return stored, fmt.Errorf("read the template: %w", err)
	}
	known[id] = stored
	return stored, nil
}

// render fills in the variables, if there are any or a template makes none mean an empty set. The rendered subject
// passes every check of a sent one.
func render(message *intake.Message, request *api.SendEmailRequest, parts sources) error {
	message.Subject, message.HTML, message.Text = request.Subject, parts.html, parts.text
	if request.Variables != nil || request.TemplateID != nil {
		if err := substitute(message, request.Variables); err != nil {
			return err
		}
	}
	if message.HTML == "" && message.Text == "" {
		return invalid(api.ProblemCodeTemplateInvalid, "", "nothing is left of html and text when they are rendered")
	}
	return checkSubject(message.Subject)
}

func substitute(message *intake.Message, variables map[string]any) error {
	if variables == nil {
		variables = map[string]any{}
	}
	if err := checkVariables(variables); err != nil {
		return err
	}
	for _, part := range []struct {
		pointer string
		kind    template.Part
		text    *string
		limit   int
	}{
		{"/subject", template.Subject, &message.Subject, 4 * maxSubject},
		{"/html", template.HTML, &message.HTML, maxItemBytes},
		{"/text", template.Text, &message.Text, maxItemBytes},
	} {
		if err := renderPart(part.kind, part.text, variables, part.limit, part.pointer); err != nil {
			return err
		}
	}
	return nil
}

func renderPart(kind template.Part, text *string, variables map[string]any, limit int, pointer string) error {
	parsed, err := template.Parse(kind, *text)
	if err == nil {
		*text, err = parsed.Render(variables, limit)
	}
	var missing *template.MissingError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return missingProblem(missing)
	default:
		return invalid(api.ProblemCodeTemplateInvalid, pointer, clip(err.Error()))
	}
}

func missingProblem(missing *template.MissingError) *problem {
	p := &problem{
		code:   api.ProblemCodeVariableMissing,
		detail: clip("These variables have no value: " + strings.Join(missing.Names, ", ") + "."),
	}
	for _, name := range missing.Names[:min(len(missing.Names), maxErrors)] {
		p.errors = append(p.errors, api.ProblemError{
			Pointer: clip("/variables/" + strings.ReplaceAll(escapePointer(name), ".", "/")), Detail: "has no value",
		})
	}
	return p
}

func checkSubject(subject string) error {
	length := len([]rune(subject))
	if length < 1 || length > maxSubject {
		return invalid(api.ProblemCodeValidationFailed, "/subject",
			fmt.Sprintf("is %d characters long when rendered; 1 to %d are allowed", length, maxSubject))
	}
	if err := mail.CheckHeaderText(subject); err != nil {
		return invalid(api.ProblemCodeValidationFailed, "/subject", err.Error())
	}
	return nil
}

// checkVariables refuses what cannot be rendered, and what rendering would change in silence.
func checkVariables(variables map[string]any) error {
	if err := template.CheckVariables(variables); err != nil {
		return invalid(api.ProblemCodeValidationFailed, "/variables", clip(err.Error()))
	}
	return checkValue("/variables", variables)
}

// checkValue holds variables to what the document's patterns hold every other string to.
func checkValue(pointer string, value any) error {
	wrong := ""
	switch value := value.(type) {
	case string:
		if !(controlFree{except: bodyControls}).MatchString(value) {
			wrong = "holds a control character"
		}
	case float64:
		if math.Abs(value) >= inexact {
			wrong = "is a number that JSON does not keep exactly, which end before ±2^53; send it as a string"
		}
	case []any:
		for i, item := range value {
			if err := checkValue(pointer+"/"+strconv.Itoa(i), item); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, member := range value {
			if !(controlFree{}).MatchString(name) {
				wrong = "has a name that holds a control character"
				break
			}
			if err := checkValue(pointer+"/"+escapePointer(name), member); err != nil {
				return err
			}
		}
	}
	if wrong == "" {
		return nil
	}
	return invalid(api.ProblemCodeValidationFailed, clip(pointer), wrong)
}
