-- TemplateGetPublished reads the version that sends use.
-- name: TemplateGetPublished :one
SELECT template_versions.html, template_versions.text
FROM templates
JOIN template_versions ON template_versions.template_id = templates.id
    AND template_versions.version = templates.published_version
    AND template_versions.organization_id = templates.organization_id
WHERE templates.organization_id = @organization_id AND templates.id = @id;

-- name: TemplateInsert :one
INSERT INTO templates (id, organization_id, name, latest_version, created_at, updated_at)
VALUES (@id, @organization_id, @name, 1, @now, @now)
RETURNING *;

-- TemplateVersionPut writes a new version, or overwrites a draft.
-- name: TemplateVersionPut :one
INSERT INTO template_versions (template_id, version, organization_id, subject, html, text, created_at)
VALUES (@template_id, @version, @organization_id, @subject, @html, @text, @now)
ON CONFLICT (template_id, version) DO UPDATE
SET subject = excluded.subject, html = excluded.html, text = excluded.text, created_at = excluded.created_at
RETURNING *;

-- name: TemplateCount :one
SELECT count(*) FROM templates WHERE organization_id = @organization_id;

-- TemplateGet reads one version, the latest unless another is named.
-- name: TemplateGet :one
SELECT sqlc.embed(templates), sqlc.embed(template_versions)
FROM templates
JOIN template_versions ON template_versions.template_id = templates.id
    AND template_versions.version = coalesce(sqlc.narg('version')::integer, templates.latest_version)
    AND template_versions.organization_id = templates.organization_id
WHERE templates.organization_id = @organization_id AND templates.id = @id;

-- TemplateLock locks a template against concurrent edits. It reads nothing else: after waiting for the lock, a join
-- would still see the old versions.
-- name: TemplateLock :one
SELECT 1 FROM templates WHERE organization_id = @organization_id AND id = @id FOR UPDATE;

-- name: TemplateUpdate :one
UPDATE templates SET name = @name, latest_version = @latest_version, updated_at = @now
WHERE organization_id = @organization_id AND id = @id
RETURNING *;

-- TemplatePublish makes sends use the latest version. Repeating it changes nothing.
-- name: TemplatePublish :execrows
UPDATE templates
SET updated_at = CASE WHEN published_version = latest_version THEN updated_at ELSE @now END,
    published_version = latest_version
WHERE organization_id = @organization_id AND id = @id;

-- name: TemplateDelete :execrows
DELETE FROM templates WHERE organization_id = @organization_id AND id = @id;

-- TemplateList reads a page as EmailList does.
-- name: TemplateList :many
SELECT templates.* FROM (
    SELECT * FROM templates
    WHERE (organization_id, id) >= (@organization_id::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
      AND (organization_id, id) <= (@organization_id::uuid, @before_id::uuid)
      AND id <> @before_id
    ORDER BY organization_id DESC, id DESC
    LIMIT 101
) AS templates
ORDER BY templates.id DESC
LIMIT @max_rows;

-- name: TemplateVersionList :many
SELECT template_versions.version, template_versions.subject, template_versions.created_at,
    (templates.published_version IS NOT DISTINCT FROM template_versions.version)::boolean AS is_published
FROM templates
JOIN template_versions ON template_versions.template_id = templates.id
    AND template_versions.organization_id = templates.organization_id
WHERE templates.organization_id = @organization_id AND templates.id = @template_id
  AND template_versions.version < @before_id
ORDER BY template_versions.version DESC
LIMIT @max_rows;
