-- +goose Up

-- The newest version of a template. It is a draft unless it is the published one; every version below it was published
-- once and is never written again.
ALTER TABLE templates ADD COLUMN latest_version integer;
UPDATE templates SET latest_version = coalesce(
    (SELECT max(version) FROM template_versions WHERE template_id = templates.id), 1);
ALTER TABLE templates ALTER COLUMN latest_version SET NOT NULL;
-- The list: by organization, newest first.
CREATE INDEX templates_list_idx ON templates (organization_id, id);

-- Empty, like html and text, where there is none.
ALTER TABLE template_versions ADD COLUMN subject text NOT NULL DEFAULT '';
