-- +goose Up

-- How often SES refused to send for a verified domain lately, and since when its mail waits for a check of the domain
-- because of that.
ALTER TABLE domains
    ADD COLUMN refusals integer NOT NULL DEFAULT 0,
    ADD COLUMN refused_at timestamptz,
    ADD COLUMN parked_at timestamptz;
