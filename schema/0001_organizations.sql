-- +goose Up

-- The tenant. Every row of every other table belongs to one.
CREATE TABLE organizations (
    id                      uuid PRIMARY KEY,
    name                    text NOT NULL,
    suspended_at            timestamptz,
    has_payment_method      boolean NOT NULL DEFAULT false,
    monthly_spend_cap_cents bigint CHECK (monthly_spend_cap_cents >= 0),
    free_monthly_allowance  bigint NOT NULL CHECK (free_monthly_allowance >= 0),
    price_per_1k_cents      bigint NOT NULL CHECK (price_per_1k_cents >= 0),
    created_at              timestamptz NOT NULL,
    CONSTRAINT organizations_name_key UNIQUE (name)
);
