-- +goose Up

-- A new endpoint gets 8 deliveries at once, until its first answers say more or less. See impl/webhook/concurrency.go.
ALTER TABLE webhooks ALTER COLUMN concurrency SET DEFAULT 8;
