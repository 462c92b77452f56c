-- +goose Up

-- The outcome of a recipient changes twice soon after the insert, in groups that span pages: when SES took the message, and
-- when it was delivered. No index has the outcome, so that an update writes to none of them, provided that the new version
-- fits on the page of the old one (https://www.postgresql.org/docs/15/storage-hot.html). Half of each page is left for the
-- new versions of the other half, which use the space of the dead ones the next time. The partitions of past months get no
-- rows any more.
-- +goose StatementBegin
DO $$
DECLARE
    child text;
BEGIN
    FOR child IN
        SELECT class.relname FROM pg_inherits JOIN pg_class AS class ON class.oid = inhrelid
        WHERE inhparent = 'recipients'::regclass
          AND class.relname >= 'recipients_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')
    LOOP
        EXECUTE format('ALTER TABLE %I SET (fillfactor = 50)', child);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- As before, with the space in the partitions of recipients.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ensure_partitions(at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    starts timestamp;
    child  text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('mailstack.ensure_partitions'));
    FOR months IN -1..3 LOOP
        starts := date_trunc('month', at AT TIME ZONE 'UTC') + make_interval(months => months);
        FOREACH parent IN ARRAY ARRAY['emails', 'recipients', 'contents', 'events', 'email_tags'] LOOP
            child := format('%s_%s', parent, to_char(starts, 'YYYY_MM'));
            IF to_regclass(child) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)%s',
                    child, parent,
                    uuid_floor(starts AT TIME ZONE 'UTC'),
                    uuid_floor((starts + interval '1 month') AT TIME ZONE 'UTC'),
                    CASE parent WHEN 'recipients' THEN ' WITH (fillfactor = 50)' ELSE '' END);
            END IF;
        END LOOP;
    END LOOP;
END
$$;
-- +goose StatementEnd
