-- +goose Up

-- What Postgres refuses for its data, however often it is tried, is put here with Postgres's words, so that its work ends
-- and an operator can look at it.

-- Notifications of SES that could not become facts about a message for seven days.
CREATE TABLE set_aside_notifications (
    message_id   text PRIMARY KEY,
    body         text NOT NULL,
    received_at  timestamptz NOT NULL,
    refusal      text NOT NULL,
    set_aside_at timestamptz NOT NULL
);

CREATE INDEX set_aside_notifications_at_idx ON set_aside_notifications (set_aside_at);

-- Results of sending that could not be stored. The message is not sent again.
CREATE TABLE set_aside_results (
    email_id            uuid PRIMARY KEY,
    organization_id     uuid NOT NULL,
    attempt             integer NOT NULL,
    -- What became of the attempt: sent or failed.
    result              text NOT NULL,
    provider_message_id text NOT NULL,
    -- Why it failed; empty if it did not.
    reason              text NOT NULL,
    refusal             text NOT NULL,
    set_aside_at        timestamptz NOT NULL
);

CREATE INDEX set_aside_results_at_idx ON set_aside_results (set_aside_at);
