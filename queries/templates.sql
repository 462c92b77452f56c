-- TemplateGetPublished answers with the version that sends use.
-- name: TemplateGetPublished :one
SELECT template_versions.html, template_versions.text
FROM templates
JOIN template_versions ON template_versions.template_id = templates.id
    AND template_versions.version = templates.published_version
    AND template_versions.organization_id = templates.organization_id
WHERE templates.organization_id = @organization_id AND templates.id = @id;
