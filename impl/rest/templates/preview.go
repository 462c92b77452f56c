package templates

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/compose"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/template"
)

// maxPreview is the most bytes that one rendered part of a preview may have, as many as a stored part can have.
const maxPreview = 4 << 20

// PreviewTemplate renders a version without sending it.
func (ops *Operations) PreviewTemplate(
	ctx context.Context, request api.PreviewTemplateRequestObject,
) (api.PreviewTemplateResponseObject, error) {
	found, err := ops.templateToPreview(ctx, request)
	if err != nil {
		return nil, err
	}
	variables := request.Body.Variables
	if variables == nil {
		variables = map[string]any{}
	}
	if err := compose.CheckVariables(variables); err != nil {
		return nil, err
	}
	preview := api.TemplatePreview{
		Version: found.TemplateVersion.Version, Placeholders: []string{}, Missing: []string{},
	}
	shown := []**string{&preview.Subject, &preview.HTML, &preview.Text}
	for i, part := range contentOf(found.TemplateVersion).parts() {
		if *shown[i], err = previewPart(&preview, part, variables); err != nil {
			return nil, err
		}
	}
	preview.Placeholders, preview.Missing = distinctNames(preview.Placeholders), distinctNames(preview.Missing)
	return api.PreviewTemplate200JSONResponse{Body: preview}, nil
}

// templateToPreview reads the requested version. If the template lacks it, the fault is in the body, not in the
// path.
func (ops *Operations) templateToPreview(
	ctx context.Context, request api.PreviewTemplateRequestObject,
) (db.TemplateGetRow, error) {
	queries := ops.Store.Queries()
	found, err := getTemplate(ctx, queries, request.ID, request.Body.Version)
	var absent *problem.Problem
	if request.Body.Version == nil || !errors.As(err, &absent) || absent.Status() != http.StatusNotFound {
		return found, err
	}
	if found, err = getTemplate(ctx, queries, request.ID, nil); err != nil {
		return found, err
	}
	return found, problem.Invalid(api.ProblemCodeValidationFailed, "/version", "the template has no such version")
}

// previewPart renders one part and collects its names. It returns nil if the version lacks the part.
func previewPart(preview *api.TemplatePreview, part templatePart, variables map[string]any) (*string, error) {
	if part.source == "" {
		return nil, nil //nolint:nilnil // shown as null
	}
	parsed, err := template.Parse(part.kind, part.source)
	if err != nil {
		return nil, problem.Invalid(api.ProblemCodeTemplateInvalid, "", problem.Truncate(part.pointer[1:]+": "+err.Error()))
	}
	rendered, missing, err := parsed.Preview(variables, maxPreview)
	if err != nil {
		return nil, problem.Invalid(api.ProblemCodeTemplateInvalid, "/variables", problem.Truncate(fmt.Sprintf("%s: %v", part.pointer[1:], err)))
	}
	preview.Placeholders = append(preview.Placeholders, parsed.Placeholders()...)
	preview.Missing = append(preview.Missing, missing...)
	return &rendered, nil
}

func distinctNames(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
