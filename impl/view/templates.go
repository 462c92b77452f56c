package view

import (
	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
)

// TemplateSummary returns a template as lists show it.
func TemplateSummary(row db.Template) api.TemplateSummary {
	return api.TemplateSummary{
		ID:               row.ID,
		Name:             row.Name,
		LatestVersion:    row.LatestVersion,
		PublishedVersion: row.PublishedVersion,
		CreatedAt:        Time(row.CreatedAt),
		UpdatedAt:        Time(row.UpdatedAt),
	}
}

// Template returns a template with the content of its latest version.
func Template(row db.Template, latest db.TemplateVersion) api.Template {
	summary := TemplateSummary(row)
	return api.Template{
		ID:               summary.ID,
		Name:             summary.Name,
		LatestVersion:    summary.LatestVersion,
		PublishedVersion: summary.PublishedVersion,
		Subject:          OrNull(latest.Subject),
		HTML:             OrNull(latest.HTML),
		Text:             OrNull(latest.Text),
		CreatedAt:        summary.CreatedAt,
		UpdatedAt:        summary.UpdatedAt,
	}
}
