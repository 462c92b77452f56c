-- +goose Up

-- Addresses that an organization does not send to. address_key is the bare address, wholly lower-cased.
CREATE TABLE suppressions (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    address_key     text NOT NULL,
    reason          text NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, address_key)
);
