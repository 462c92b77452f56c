-- +goose Up

CREATE TABLE templates (
    id                uuid PRIMARY KEY,
    organization_id   uuid NOT NULL REFERENCES organizations (id),
    name              text NOT NULL,
    -- The version that sends use; NULL until one is published.
    published_version integer,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT templates_organization_name_key UNIQUE (organization_id, name)
);

CREATE TABLE template_versions (
    template_id     uuid NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
    version         integer NOT NULL,
    organization_id uuid NOT NULL,
    html            text NOT NULL,
    text            text NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (template_id, version)
);
