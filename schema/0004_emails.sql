-- +goose Up

-- Messages, their recipients, contents and events are partitioned by month on the version-7 id of the message,
-- so that retention drops whole partitions and a look-up by id touches one.

-- A message without its bodies. outcome is the highest of the facts known about it; impl/mail names the values.
CREATE TABLE emails (
    id                  uuid NOT NULL,
    organization_id     uuid NOT NULL,
    api_key_id          uuid NOT NULL,
    domain_id           uuid NOT NULL,
    from_email          text NOT NULL,
    from_name           text NOT NULL,
    to_email            text NOT NULL,
    cc                  text NOT NULL,
    bcc                 text NOT NULL,
    reply_to            text NOT NULL,
    subject             text NOT NULL,
    tags                text[] NOT NULL,
    outcome             smallint NOT NULL DEFAULT 0,
    provider_message_id text,
    error_message       text,
    queued_at           timestamptz NOT NULL,
    sent_at             timestamptz,
    created_at          timestamptz NOT NULL,
    CONSTRAINT emails_pkey PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE TABLE recipients (
    email_id        uuid NOT NULL,
    position        smallint NOT NULL,
    organization_id uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('to', 'cc', 'bcc')),
    name            text NOT NULL,
    -- The form that was given, which we send to.
    address         text NOT NULL,
    -- The bare form, wholly lower-cased, which we compare.
    address_key     text NOT NULL,
    outcome         smallint NOT NULL DEFAULT 0,
    CONSTRAINT recipients_pkey PRIMARY KEY (email_id, position)
) PARTITION BY RANGE (email_id);

CREATE TABLE contents (
    email_id        uuid NOT NULL,
    organization_id uuid NOT NULL,
    html            text NOT NULL,
    text            text NOT NULL,
    CONSTRAINT contents_pkey PRIMARY KEY (email_id)
) PARTITION BY RANGE (email_id);

-- A fact about a message, stored once: fact_key tells one from another.
CREATE TABLE events (
    email_id        uuid NOT NULL,
    fact_key        text NOT NULL,
    id              uuid NOT NULL,
    organization_id uuid NOT NULL,
    type            text NOT NULL,
    data            jsonb NOT NULL DEFAULT '{}',
    occurred_at     timestamptz NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (email_id, fact_key)
) PARTITION BY RANGE (email_id);

-- What is due to be sent, one narrow row per message, deleted with the commit of its outcome. The lane is the
-- organization. A lease moves due_at to its own end, so that one index finds the new, the postponed and the
-- abandoned alike; leased_until tells the abandoned from the others.
CREATE TABLE sends (
    email_id           uuid PRIMARY KEY,
    organization_id    uuid NOT NULL,
    due_at             timestamptz NOT NULL,
    attempt            integer NOT NULL DEFAULT 0,
    leased_until       timestamptz,
    -- Attempts after which it is unknown whether SES took the message.
    ambiguous_attempts integer NOT NULL DEFAULT 0
);

CREATE INDEX sends_lane_idx ON sends (organization_id, due_at);

-- The lowest version-7 id of an instant (RFC 9562, 5.7): 48 bits of milliseconds, the rest zero.
-- +goose StatementBegin
CREATE FUNCTION uuid_floor(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
-- +goose StatementEnd

-- Creates the monthly partitions from the month before the given instant to three months after it. Safe to
-- repeat and to run from several processes; names are <table>_YYYY_MM.
-- +goose StatementBegin
CREATE FUNCTION ensure_partitions(at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    starts timestamp;
    child  text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('mailstack.ensure_partitions'));
    FOR months IN -1..3 LOOP
        starts := date_trunc('month', at AT TIME ZONE 'UTC') + make_interval(months => months);
        FOREACH parent IN ARRAY ARRAY['emails', 'recipients', 'contents', 'events'] LOOP
            child := format('%s_%s', parent, to_char(starts, 'YYYY_MM'));
            -- Looked for first: creating a partition locks its parent against everybody, even if it exists.
            IF to_regclass(child) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    child, parent,
                    uuid_floor(starts AT TIME ZONE 'UTC'),
                    uuid_floor((starts + interval '1 month') AT TIME ZONE 'UTC'));
            END IF;
        END LOOP;
    END LOOP;
END
$$;
-- +goose StatementEnd
