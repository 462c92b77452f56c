-- +goose Up

-- What SES reported, as it came, each once by the id that SNS gave it. It is due until it has become facts about a
-- message; then its body goes, and the row is kept for a while, so that a repetition is known.
CREATE TABLE notifications (
    message_id   text NOT NULL,
    body         text,
    received_at  timestamptz NOT NULL,
    -- NULL when there is nothing left to do.
    due_at       timestamptz,
    attempt      integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    CONSTRAINT notifications_pkey PRIMARY KEY (message_id)
);

CREATE INDEX notifications_due_idx ON notifications (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notifications_received_idx ON notifications (received_at);

-- Events that do not carry our tag are matched by SES's own id. Such ids begin with the time, so that new ones go to
-- one end of the index.
CREATE INDEX emails_provider_idx ON emails (provider_message_id) WHERE provider_message_id IS NOT NULL;

-- The list of a message's events, newest first.
CREATE INDEX events_list_idx ON events (email_id, id);
