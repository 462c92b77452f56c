-- +goose Up

-- A name as the SES account knows it. All organizations share one account, so this row has no tenant: its
-- DKIM tokens and MAIL FROM are the same for every organization that registers the name.
CREATE TABLE identities (
    name             text PRIMARY KEY,
    -- Created by us, and so ours to delete once no domain uses it.
    managed          boolean NOT NULL,
    dkim_tokens      text[] NOT NULL,
    -- Set by the first organization that proves the name; NULL until then.
    mail_from_domain text,
    -- When it was last registered, proven or claimed for deletion: what was used a moment ago is not deleted.
    used_at          timestamptz NOT NULL
);

CREATE TABLE domains (
    id                  uuid PRIMARY KEY,
    organization_id     uuid NOT NULL REFERENCES organizations (id),
    name                text NOT NULL,
    mail_from_subdomain text NOT NULL,
    -- The value of the ownership record; random, so different for every organization.
    ownership_token     text NOT NULL,
    status              text NOT NULL CHECK (status IN ('Pending', 'Verified', 'Failed')),
    status_reason       text,
    -- When the ownership record was seen. Until then nothing here changes an SES identity.
    owned_at            timestamptz,
    -- What was last observed, a list of {type, name, status, observed}.
    observations        jsonb NOT NULL DEFAULT '[]',
    -- The 72 hours to success count from here.
    pending_since       timestamptz NOT NULL,
    verified_at         timestamptz,
    -- The 24 hours of grace of a verified domain that lost its records count from here.
    failing_since       timestamptz,
    checked_at          timestamptz,
    created_at          timestamptz NOT NULL,
    CONSTRAINT domains_organization_name_key UNIQUE (organization_id, name)
);

CREATE INDEX domains_name_idx ON domains (name);

-- The next look at a domain, as a due row.
CREATE TABLE domain_checks (
    domain_id       uuid PRIMARY KEY REFERENCES domains (id) ON DELETE CASCADE,
    organization_id uuid NOT NULL,
    due_at          timestamptz NOT NULL,
    attempt         integer NOT NULL DEFAULT 0,
    leased_until    timestamptz
);

CREATE INDEX domain_checks_lane_idx ON domain_checks (organization_id, due_at);
