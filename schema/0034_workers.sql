-- +goose Up

-- A process that works. In a session of its own, it holds an advisory lock that is named after its id: when the lock can be
-- had, the session has ended, and what it leased can be given to others. Leases end at their time all the same.
CREATE TABLE workers (
    id        uuid PRIMARY KEY,
    joined_at timestamptz NOT NULL
);

-- Claimed messages none of which is started: stored with the claim, and deleted in the session of the worker before the
-- first of them is handed to SES. What such a row names can be given to another worker when the session has ended; any
-- other message may be at SES, and waits for the end of its lease.
CREATE TABLE unstarted_sends (
    worker_id    uuid NOT NULL,
    leased_until timestamptz NOT NULL,
    email_ids    uuid[] NOT NULL,
    CONSTRAINT unstarted_sends_pkey PRIMARY KEY (worker_id, leased_until)
);

-- Who holds the lease. NULL under the previous release, and where there is no session: then only time ends it.
ALTER TABLE deliveries ADD COLUMN worker_id uuid;
ALTER TABLE domain_checks ADD COLUMN worker_id uuid;
