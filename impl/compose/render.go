package compose

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/template"
)

// render fills in the variables, if there are any or the request names a template. With a template, no variables
// mean an empty set. The rendered subject passes every check of a subject without variables.
func (r *Rendering) render(ctx context.Context, message *intake.Message, request *api.SendEmailRequest, parts sources) error {
	message.Subject, message.HTML, message.Text = request.Subject, parts.html, parts.text
	if request.Variables != nil || request.TemplateID != nil {
		if err := r.substitute(ctx, message, request.Variables); err != nil {
			return err
		}
	}
	if message.HTML == "" && message.Text == "" {
		return problem.Invalid(api.ProblemCodeTemplateInvalid, "", "nothing is left of html and text when they are rendered")
	}
	return checkSubject(message.Subject)
}

func (r *Rendering) substitute(ctx context.Context, message *intake.Message, variables map[string]any) error {
	if variables == nil {
		variables = map[string]any{}
	}
	if err := CheckVariables(variables); err != nil {
		return err
	}
	for _, part := range []struct {
		pointer string
		kind    template.Part
		text    *string
		limit   int
	}{
		{"/subject", template.Subject, &message.Subject, 4 * maxSubject},
		{"/html", template.HTML, &message.HTML, mail.MaxMessageBytes},
		{"/text", template.Text, &message.Text, mail.MaxMessageBytes},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.renderPart(part.kind, part.text, variables, part.limit, part.pointer); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rendering) renderPart(kind template.Part, text *string, variables map[string]any, limit int, pointer string) error {
	parsed, err := r.parse(kind, *text)
	if err == nil {
		*text, err = parsed.Render(variables, limit, &r.budget)
	}
	var missing *template.MissingError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return missingProblem(missing)
	default:
		return problem.Invalid(api.ProblemCodeTemplateInvalid, pointer, problem.Truncate(err.Error()))
	}
}

func missingProblem(missing *template.MissingError) *problem.Problem {
	p := &problem.Problem{
		Code:   api.ProblemCodeVariableMissing,
		Detail: problem.Truncate("These variables have no value: " + strings.Join(missing.Names, ", ") + "."),
	}
	for _, name := range missing.Names[:min(len(missing.Names), problem.MaxErrors)] {
		p.Errors = append(p.Errors, api.ProblemError{
			Pointer: problem.Truncate("/variables/" + strings.ReplaceAll(problem.EscapePointer(name), ".", "/")), Detail: "has no value",
		})
	}
	return p
}

func checkSubject(subject string) error {
	length := len([]rune(subject))
	if length < 1 || length > maxSubject {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/subject",
			fmt.Sprintf("is %d characters long when rendered; 1 to %d are allowed", length, maxSubject))
	}
	if err := mail.CheckHeaderText(subject); err != nil {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/subject", err.Error())
	}
	return nil
}
