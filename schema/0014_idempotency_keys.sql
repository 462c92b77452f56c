-- +goose Up

-- What requests under an idempotency key were answered. A row is written by the transaction of the work itself, which
-- holds the advisory lock that the key names. There is no reference to the organization, so that accepting a message locks
-- nothing for it.
CREATE TABLE idempotency_keys (
    organization_id uuid NOT NULL,
    -- SHA-256 of the organization and the key.
    key_hash        bytea NOT NULL CHECK (octet_length(key_hash) = 32),
    -- SHA-256 of the operation, its path and the body.
    fingerprint     bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    status          smallint NOT NULL CHECK (status BETWEEN 200 AND 299),
    -- Empty where the answer names no new resource.
    location        text NOT NULL,
    -- Encrypted where sealed says so: an answer that shows a secret.
    body            bytea NOT NULL,
    sealed          boolean NOT NULL,
    created_at      timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (organization_id, key_hash)
);

CREATE INDEX idempotency_keys_created_idx ON idempotency_keys (created_at);
