-- +goose Up

-- Holds a row while every organization sends through a tenant of its own at SES.
CREATE TABLE ses_tenancy (
    one         boolean NOT NULL DEFAULT true CHECK (one),
    switched_at timestamptz NOT NULL,
    CONSTRAINT ses_tenancy_pkey PRIMARY KEY (one)
);

-- The tenant of an organization, named org-<id>, and what is associated with it at SES. A message names the tenant only
-- where its domain is among the identities: SES refuses it otherwise.
CREATE TABLE ses_tenants (
    organization_id   uuid PRIMARY KEY REFERENCES organizations (id),
    arn               text NOT NULL,
    configuration_set text NOT NULL,
    identities        text[] NOT NULL
);

-- Since when SES does not let the organization's tenant send.
ALTER TABLE organizations ADD COLUMN tenant_disabled_at timestamptz;
