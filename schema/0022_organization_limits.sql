-- +goose Up

-- What an operator allows an organization to send, in emails: NULL is what the installation allows by default, 0 is
-- without limit.
ALTER TABLE organizations
    ADD COLUMN daily_limit bigint CHECK (daily_limit >= 0),
    ADD COLUMN per_second_limit bigint CHECK (per_second_limit >= 0);

-- The emails of the latest day of the period: the day in days since 1970 in UTC.
ALTER TABLE usage_periods
    ADD COLUMN day integer NOT NULL DEFAULT 0,
    ADD COLUMN day_emails bigint NOT NULL DEFAULT 0;
