-- +goose Up

CREATE TABLE webhooks (
    id                         uuid PRIMARY KEY,
    organization_id            uuid NOT NULL REFERENCES organizations (id),
    url                        text NOT NULL,
    events                     text[] NOT NULL,
    enabled                    boolean NOT NULL,
    -- Why we disabled it; NULL when we did not.
    disabled_reason            text,
    -- The signing keys, encrypted. The previous one signs too until it expires.
    sealed_secret              bytea NOT NULL,
    previous_sealed_secret     bytea,
    previous_secret_expires_at timestamptz,
    -- The first failure since the last success.
    failing_since              timestamptz,
    -- The endpoint asked not to be called before this.
    paused_until               timestamptz,
    created_at                 timestamptz NOT NULL,
    updated_at                 timestamptz NOT NULL
);

CREATE INDEX webhooks_organization_idx ON webhooks (organization_id, id);

-- An event on its way to a webhook. due_at and leased_until are as in sends, with the webhook as lane: a lease
-- moves due_at to its own end. due_at is NULL once there is nothing left to do. There is no reference to the webhook, so
-- that writing an event locks nothing, and deleting a webhook does not wait for its deliveries.
CREATE TABLE deliveries (
    id              uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    webhook_id      uuid NOT NULL,
    event_id        uuid NOT NULL,
    event_type      text NOT NULL,
    -- The very bytes that are sent, on every attempt.
    payload         text NOT NULL,
    state           text NOT NULL DEFAULT 'Pending' CHECK (state IN ('Pending', 'Delivered', 'Failed')),
    due_at          timestamptz,
    attempt         integer NOT NULL DEFAULT 0,
    -- The attempts before the last replay, which do not count towards giving up.
    attempts_before integer NOT NULL DEFAULT 0,
    leased_until    timestamptz,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz
);

CREATE INDEX deliveries_webhook_idx ON deliveries (organization_id, webhook_id, id);
CREATE INDEX deliveries_lane_idx ON deliveries (webhook_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_leased_idx ON deliveries (webhook_id) WHERE leased_until IS NOT NULL;

CREATE TABLE delivery_attempts (
    delivery_id      uuid NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    attempt          integer NOT NULL,
    at               timestamptz NOT NULL,
    duration_ms      bigint NOT NULL,
    status_code      integer,
    response_excerpt text,
    error            text,
    CONSTRAINT delivery_attempts_pkey PRIMARY KEY (delivery_id, attempt)
);

-- A version-7 id with the time of another (RFC 9562, 5.7), for rows that a statement makes of others.
-- +goose StatementBegin
CREATE FUNCTION uuid_beside(id uuid) RETURNS uuid
LANGUAGE sql VOLATILE STRICT AS $$
    SELECT (substr(replace(id::text, '-', ''), 1, 12) || '7' || substr(random, 14))::uuid
    FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS random) AS made
$$;
-- +goose StatementEnd
