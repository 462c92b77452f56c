-- +goose Up

-- The usage of a calendar month in UTC. Price and allowance are copied from the organization when the period is
-- first used, so that a change applies from the next one. The one hot row of an organization: half of every
-- page stays free, so that updates need not touch an index.
CREATE TABLE usage_periods (
    organization_id        uuid NOT NULL REFERENCES organizations (id),
    period_key             text NOT NULL,
    emails_sent            bigint NOT NULL DEFAULT 0 CHECK (emails_sent >= 0),
    free_monthly_allowance bigint NOT NULL,
    price_per_1k_cents     bigint NOT NULL,
    PRIMARY KEY (organization_id, period_key)
) WITH (fillfactor = 50);
