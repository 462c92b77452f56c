package templates

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/rest/lists"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/template"
	"github.com/voostack/mailstack/impl/view"
)

const (
	maxTemplates        = 1000
	maxTemplateVersions = 1000
)

// content holds the parts of a version of a template. An empty part is absent.
type content struct{ subject, html, text string }

func contentOf(version db.TemplateVersion) content {
	return content{subject: version.Subject, html: version.HTML, text: version.Text}
}

// templatePart is one part of a content, with the JSON pointer of its member in a request.
type templatePart struct {
	pointer string
	kind    template.Part
	source  string
}

func (c content) parts() []templatePart {
	return []templatePart{
		{"/subject", template.Subject, c.subject},
		{"/html", template.HTML, c.html},
		{"/text", template.Text, c.text},
	}
}

// check refuses a content that no send could use, and names every part that cannot be parsed.
func (c content) check() error {
	if c.html == "" && c.text == "" {
		return problem.Invalid(api.ProblemCodeValidationFailed, "", "at least one of html and text is required")
	}
	var wrong *problem.Problem
	for _, part := range c.parts() {
		_, err := template.Parse(part.kind, part.source)
		if err == nil {
			continue
		}
		found := problem.Invalid(api.ProblemCodeTemplateInvalid, part.pointer, problem.Truncate(err.Error()))
		if wrong == nil {
			wrong = found
		} else {
			wrong.Errors = append(wrong.Errors, found.Errors...)
		}
	}
	if wrong != nil {
		return wrong
	}
	return nil
}

// ListTemplates lists the organization's templates, newest first.
func (ops *Operations) ListTemplates(
	ctx context.Context, request api.ListTemplatesRequestObject,
) (api.ListTemplatesResponseObject, error) {
	page, err := lists.PageOf(ctx, ops.Sealer, "templates", nil, request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := ops.Store.Queries().TemplateList(ctx, db.TemplateListParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, BeforeID: page.Before, MaxRows: page.FetchLimit(),
	})
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	listed, next, err := lists.Show(page, rows, func(row db.Template) uuid.UUID { return row.ID }, view.TemplateSummary)
	if err != nil {
		return nil, err
	}
	return api.ListTemplates200JSONResponse{Body: api.TemplateList{Data: listed, NextCursor: next}}, nil
}

// CreateTemplate stores a template, whose first version is a draft.
func (ops *Operations) CreateTemplate(
	ctx context.Context, request api.CreateTemplateRequestObject,
) (api.CreateTemplateResponseObject, error) {
	if err := checkTemplateName(request.Body.Name); err != nil {
		return nil, err
	}
	wanted := content{subject: request.Body.Subject, html: request.Body.HTML, text: request.Body.Text}
	if err := wanted.check(); err != nil {
		return nil, err
	}
	var created api.CreateTemplate201JSONResponse
	err := ops.HTTP.CreateIdempotently(ctx, func(tx *db.Queries) (httpserver.ResponseWriteFunc, error) {
		inserted, err := ops.insertTemplate(ctx, tx, request.Body.Name, wanted)
		created.Body, created.Headers.Location = inserted, "/v1/templates/"+inserted.ID.String()
		return created.VisitCreateTemplateResponse, err
	})
	if err != nil {
		return nil, templateProblem(err)
	}
	return created, nil
}

func checkTemplateName(name string) error {
	if strings.TrimSpace(name) == "" {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/name", "is blank")
	}
	return nil
}

// templateProblem turns the violation of the unique name into its problem. It returns other errors unchanged.
func templateProblem(err error) error {
	if store.Constraint(err) == store.ConstraintTemplatesName {
		return &problem.Problem{
			Code: api.ProblemCodeTemplateNameExists, Detail: "A template of your organization has this name already.",
		}
	}
	return err
}

// insertTemplate locks the organization while it counts, so that concurrent creators cannot exceed the limit
// together.
func (ops *Operations) insertTemplate(
	ctx context.Context, tx *db.Queries, name string, wanted content,
) (api.Template, error) {
	organizationID, now := auth.CallerFromContext(ctx).OrganizationID, ops.Now()
	if err := tx.OrganizationLock(ctx, organizationID); err != nil {
		return api.Template{}, fmt.Errorf("lock the organization: %w", err)
	}
	count, err := tx.TemplateCount(ctx, organizationID)
	if err != nil {
		return api.Template{}, fmt.Errorf("count templates: %w", err)
	}
	if count >= maxTemplates {
		return api.Template{}, &problem.Problem{
			Code: api.ProblemCodeTemplateLimitReached, Detail: "An organization may have at most 1,000 templates.",
		}
	}
	row, err := tx.TemplateInsert(ctx, db.TemplateInsertParams{
		ID: ops.NewID(), OrganizationID: organizationID, Name: name, Now: now,
	})
	if err != nil {
		return api.Template{}, fmt.Errorf("create a template: %w", err)
	}
	version, err := ops.putVersion(ctx, tx, row, wanted)
	return view.Template(row, version), err
}

// putVersion stores a content as the latest version of a template.
func (ops *Operations) putVersion(
	ctx context.Context, tx *db.Queries, row db.Template, wanted content,
) (db.TemplateVersion, error) {
	version, err := tx.TemplateVersionPut(ctx, db.TemplateVersionPutParams{
		TemplateID: row.ID, Version: row.LatestVersion, OrganizationID: row.OrganizationID,
		Subject: wanted.subject, HTML: wanted.html, Text: wanted.text, Now: ops.Now(),
	})
	if err != nil {
		return version, fmt.Errorf("write a version of a template: %w", err)
	}
	return version, nil
}

// GetTemplate reads a template with the content of its latest version.
func (ops *Operations) GetTemplate(
	ctx context.Context, request api.GetTemplateRequestObject,
) (api.GetTemplateResponseObject, error) {
	found, err := getTemplate(ctx, ops.Store.Queries(), request.ID, nil)
	if err != nil {
		return nil, err
	}
	return api.GetTemplate200JSONResponse{Body: view.Template(found.Template, found.TemplateVersion)}, nil
}

// getTemplate reads one version, or the latest if version is nil. It returns a *problem.Problem if there is none.
func getTemplate(ctx context.Context, queries *db.Queries, id uuid.UUID, version *int32) (db.TemplateGetRow, error) {
	found, err := queries.TemplateGet(ctx, db.TemplateGetParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, ID: id, Version: version,
	})
	if store.IsNoRows(err) {
		return found, problem.NotFound()
	}
	if err != nil {
		return found, fmt.Errorf("read the template: %w", err)
	}
	return found, nil
}

// DeleteTemplate deletes a template and all its versions. Messages hold their rendered parts, so they lose
// nothing.
func (ops *Operations) DeleteTemplate(
	ctx context.Context, request api.DeleteTemplateRequestObject,
) (api.DeleteTemplateResponseObject, error) {
	deleted, err := ops.Store.Queries().TemplateDelete(ctx, db.TemplateDeleteParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, ID: request.ID,
	})
	if err := problem.OfDelete("the template", deleted, err); err != nil {
		return nil, err
	}
	return api.DeleteTemplate204Response{}, nil
}

// PublishTemplate makes the latest version the version that sends use.
func (ops *Operations) PublishTemplate(
	ctx context.Context, request api.PublishTemplateRequestObject,
) (api.PublishTemplateResponseObject, error) {
	var found db.TemplateGetRow
	err := ops.Store.Tx(ctx, func(tx *db.Queries) error {
		published, err := tx.TemplatePublish(ctx, db.TemplatePublishParams{
			OrganizationID: auth.CallerFromContext(ctx).OrganizationID, ID: request.ID, Now: ops.Now(),
		})
		if err != nil {
			return fmt.Errorf("publish the template: %w", err)
		}
		if published == 0 {
			return problem.NotFound()
		}
		found, err = getTemplate(ctx, tx, request.ID, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.PublishTemplate200JSONResponse{Body: view.Template(found.Template, found.TemplateVersion)}, nil
}

// ListTemplateVersions lists the versions of a template, newest first.
func (ops *Operations) ListTemplateVersions(
	ctx context.Context, request api.ListTemplateVersionsRequestObject,
) (api.ListTemplateVersionsResponseObject, error) {
	page, err := lists.PageOf(ctx, ops.Sealer, "template versions", []string{request.ID.String()}, request.Params.Limit, request.Params.Cursor)
	if err != nil {
		// A missing template takes precedence over a bad cursor.
		if _, absent := getTemplate(ctx, ops.Store.Queries(), request.ID, nil); absent != nil {
			return nil, absent
		}
		return nil, err
	}
	rows, err := ops.Store.Queries().TemplateVersionList(ctx, db.TemplateVersionListParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, TemplateID: request.ID,
		BeforeID: versionAt(page.Before), MaxRows: page.FetchLimit(),
	})
	if err != nil {
		return nil, fmt.Errorf("list the versions of a template: %w", err)
	}
	// Every template has a version, and a cursor is given only if there are more. So no rows means no template.
	if len(rows) == 0 {
		return nil, problem.NotFound()
	}
	rows, next, err := lists.Trim(page, rows, func(row db.TemplateVersionListRow) uuid.UUID { return positionOf(row.Version) })
	if err != nil {
		return nil, err
	}
	listed := make([]api.TemplateVersionSummary, 0, len(rows))
	for _, row := range rows {
		listed = append(listed, api.TemplateVersionSummary{
			Version: row.Version, IsPublished: row.IsPublished, Subject: view.OrNull(row.Subject), CreatedAt: view.Time(row.CreatedAt),
		})
	}
	return api.ListTemplateVersions200JSONResponse{
		Body: api.TemplateVersionList{Data: listed, NextCursor: next},
	}, nil
}

// positionOf returns the place of a version in a list: its number as the id that a cursor holds.
func positionOf(version int32) uuid.UUID {
	var position uuid.UUID
	binary.BigEndian.PutUint32(position[12:], uint32(version))
	return position
}

// versionAt returns the version at a position. The start of a list is above all versions.
func versionAt(position uuid.UUID) int32 {
	return int32(min(binary.BigEndian.Uint32(position[12:]), math.MaxInt32))
}

// GetTemplateVersion reads a version, an earlier one or the latest.
func (ops *Operations) GetTemplateVersion(
	ctx context.Context, request api.GetTemplateVersionRequestObject,
) (api.GetTemplateVersionResponseObject, error) {
	found, err := getTemplate(ctx, ops.Store.Queries(), request.ID, &request.Version)
	if err != nil {
		return nil, err
	}
	row, version := found.Template, found.TemplateVersion
	return api.GetTemplateVersion200JSONResponse{Body: api.TemplateVersion{
		Version:     version.Version,
		IsPublished: row.PublishedVersion != nil && *row.PublishedVersion == version.Version,
		Subject:     view.OrNull(version.Subject),
		HTML:        view.OrNull(version.HTML),
		Text:        view.OrNull(version.Text),
		CreatedAt:   view.Time(version.CreatedAt),
	}}, nil
}
