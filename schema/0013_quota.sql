-- +goose Up

-- What the SES account may send, counted in recipients, and how much of it is there to be taken: one row, which all
-- workers share. Its times are the clock of Postgres, so that theirs need not agree. The row changes all the time: most
-- of its page stays free, so that no change leaves it.
CREATE TABLE quota (
    one        boolean NOT NULL DEFAULT true CHECK (one),
    -- What SES says: recipients a second, and how many are left of the rolling 24 hours; NULL is without limit.
    per_second double precision NOT NULL CHECK (per_second >= 0),
    day_left   double precision,
    read_at    timestamptz NOT NULL,
    -- The rate after the last throttling, from which it climbs back.
    slowed_to  double precision NOT NULL DEFAULT 'Infinity',
    slowed_at  timestamptz NOT NULL DEFAULT '2000-01-01',
    -- What was there when it was last taken from. Less than nothing is a debt of messages with many recipients.
    available  double precision NOT NULL DEFAULT 0,
    taken_at   timestamptz NOT NULL,
    CONSTRAINT quota_pkey PRIMARY KEY (one)
) WITH (fillfactor = 10);

-- The rate at this moment: after a throttling it climbs back by a share of the account's rate each second. A throttling
-- that seems to be yet to come, as the clock was set back, was just now.
-- +goose StatementBegin
CREATE FUNCTION quota_rate(quota, climb double precision) RETURNS double precision
LANGUAGE sql VOLATILE AS $$
    SELECT least($1.per_second, $1.slowed_to + $1.per_second * climb * greatest(extract(epoch FROM clock_timestamp() - $1.slowed_at), 0))
$$;
-- +goose StatementEnd
