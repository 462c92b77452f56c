-- +goose Up

-- The secret of a key is only verified, so only its SHA-256 is stored.
CREATE TABLE api_keys (
    id              uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id),
    name            text NOT NULL,
    prefix          text NOT NULL,
    secret_hash     bytea NOT NULL,
    scopes          text[] NOT NULL,
    last_used_at    timestamptz,
    expires_at      timestamptz,
    revoked_at      timestamptz,
    created_at      timestamptz NOT NULL,
    CONSTRAINT api_keys_prefix_key UNIQUE (prefix)
);

CREATE UNIQUE INDEX api_keys_name_key ON api_keys (organization_id, name) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_organization_idx ON api_keys (organization_id, id);
