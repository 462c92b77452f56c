package templates

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/view"
)

// UpdateTemplate changes the given members and leaves the rest.
func (ops *Operations) UpdateTemplate(
	ctx context.Context, request api.UpdateTemplateRequestObject,
) (api.UpdateTemplateResponseObject, error) {
	var edited api.Template
	err := ops.Store.Tx(ctx, func(tx *db.Queries) error {
		found, err := holdTemplate(ctx, tx, request)
		if err != nil {
			return err
		}
		edited, err = ops.editTemplate(ctx, tx, found, request.JSONBody)
		return err
	})
	if err != nil {
		return nil, templateProblem(err)
	}
	return api.UpdateTemplate200JSONResponse{Body: edited}, nil
}

// holdTemplate locks the template against other editors and publishers until the transaction ends. So no draft
// overwrites a version that has just been published, and the second of two edits starts from the result of the
// first.
func holdTemplate(ctx context.Context, tx *db.Queries, request api.UpdateTemplateRequestObject) (db.TemplateGetRow, error) {
	_, err := tx.TemplateLock(ctx, db.TemplateLockParams{
		OrganizationID: auth.CallerFromContext(ctx).OrganizationID, ID: request.ID,
	})
	if store.IsNoRows(err) {
		return db.TemplateGetRow{}, problem.NotFound()
	}
	if err != nil {
		return db.TemplateGetRow{}, fmt.Errorf("lock the template: %w", err)
	}
	return getTemplate(ctx, tx, request.ID, nil)
}

func (ops *Operations) editTemplate(
	ctx context.Context, tx *db.Queries, found db.TemplateGetRow, change *api.UpdateTemplateRequest,
) (api.Template, error) {
	row, version := found.Template, found.TemplateVersion
	renamed := change.Name != nil && *change.Name != row.Name
	if renamed {
		row.Name = *change.Name
		if err := checkTemplateName(row.Name); err != nil {
			return api.Template{}, err
		}
	}
	wanted := contentOf(version)
	applyOptional(&wanted.subject, change.Subject)
	applyOptional(&wanted.html, change.HTML)
	applyOptional(&wanted.text, change.Text)
	rewritten := wanted != contentOf(version)
	if !renamed && !rewritten {
		return view.Template(row, version), nil
	}
	if rewritten {
		if err := wanted.check(); err != nil {
			return api.Template{}, err
		}
		if err := nextVersion(&row); err != nil {
			return api.Template{}, err
		}
	}
	row, err := tx.TemplateUpdate(ctx, db.TemplateUpdateParams{
		OrganizationID: row.OrganizationID, ID: row.ID, Name: row.Name, LatestVersion: row.LatestVersion,
		Now: ops.Now(),
	})
	if err != nil {
		return api.Template{}, fmt.Errorf("change the template: %w", err)
	}
	if rewritten {
		if version, err = ops.putVersion(ctx, tx, row, wanted); err != nil {
			return api.Template{}, err
		}
	}
	return view.Template(row, version), nil
}

// applyOptional applies an optional member of a request to a part: a value sets it, null empties it, an absent
// member leaves it.
func applyOptional(part *string, given interface {
	IsSpecified() bool
	Get() (string, error)
},
) {
	if !given.IsSpecified() {
		return
	}
	// Get fails for null; its value is then empty.
	*part, _ = given.Get()
}

// nextVersion starts a draft if the latest version is published, because a published version stays as it is.
func nextVersion(row *db.Template) error {
	if row.PublishedVersion == nil || *row.PublishedVersion != row.LatestVersion {
		return nil
	}
	if row.LatestVersion >= maxTemplateVersions {
		return &problem.Problem{
			Code: api.ProblemCodeTemplateVersionLimitReached, Detail: "A template may have at most 1,000 versions.",
		}
	}
	row.LatestVersion++
	return nil
}
