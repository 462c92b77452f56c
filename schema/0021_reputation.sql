-- +goose Up

-- All organizations send through one SES account, and so share its reputation. A pause stops the sending of one of them.
ALTER TABLE organizations ADD COLUMN sending_paused_at timestamptz;

-- The recipients of a day to whom mail from a domain was accepted, each once: a HyperLogLog sketch, whose size is bounded
-- and whose union over days and domains counts each recipient once. day is in days since 1970 in UTC, of acceptance.
-- domain is empty where the domain was deleted meanwhile.
CREATE TABLE reputation_days (
    organization_id uuid NOT NULL,
    domain          text NOT NULL,
    day             integer NOT NULL,
    recipients      bytea NOT NULL,
    CONSTRAINT reputation_days_pkey PRIMARY KEY (organization_id, domain, day)
);

-- Up to which message the sketches hold the recipients.
CREATE TABLE reputation_progress (
    one        boolean NOT NULL DEFAULT true CHECK (one),
    counted_to uuid NOT NULL,
    CONSTRAINT reputation_progress_pkey PRIMARY KEY (one)
);

INSERT INTO reputation_progress (counted_to) VALUES (uuid_floor(now()));

-- A recipient to whom a message bounced for good, or who complained about it. Kept as a hash: only their number matters.
CREATE TABLE reputation_facts (
    organization_id uuid NOT NULL,
    email_id        uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('bounce', 'complaint')),
    recipient_hash  bigint NOT NULL,
    domain          text NOT NULL,
    recorded_at     timestamptz NOT NULL,
    CONSTRAINT reputation_facts_pkey PRIMARY KEY (organization_id, email_id, kind, recipient_hash)
);

CREATE INDEX reputation_facts_recorded_idx ON reputation_facts (organization_id, recorded_at);

-- The rates of an organization (domain is empty) and of its domains, as they were last computed. A pause belongs to the
-- name of a domain, so that it outlives the domain's deletion.
CREATE TABLE reputations (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    domain          text NOT NULL,
    recipients      bigint NOT NULL DEFAULT 0,
    bounced         bigint NOT NULL DEFAULT 0,
    complained      bigint NOT NULL DEFAULT 0,
    computed_at     timestamptz,
    -- Only messages accepted since then count: an operator resumed sending.
    counts_from     timestamptz,
    -- Since when a rate is at the threshold of a warning.
    warned_at       timestamptz,
    paused_at       timestamptz,
    CONSTRAINT reputations_pkey PRIMARY KEY (organization_id, domain)
);

CREATE INDEX reputations_paused_idx ON reputations (domain) WHERE paused_at IS NOT NULL;
CREATE INDEX reputations_warned_idx ON reputations (organization_id) WHERE warned_at IS NOT NULL;
