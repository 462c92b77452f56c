-- +goose Up

-- How many deliveries of a webhook may be in flight at once follows how its endpoint answers: see impl/webhook/concurrency.go.
ALTER TABLE webhooks
    ADD COLUMN concurrency integer NOT NULL DEFAULT 1,
    -- Whether the last answer came within a second. Such webhooks have slots of their own.
    ADD COLUMN quick boolean NOT NULL DEFAULT false;
