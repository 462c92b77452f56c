-- +goose Up

-- The lists of messages: by organization, newest first, with at most one filter, an index for each. A list reads its
-- page from one end of an index, however many rows there are.
CREATE INDEX emails_list_idx ON emails (organization_id, id);
-- Both ways to fail (given up by us, rejected by SES) are one status.
CREATE INDEX emails_status_idx ON emails (organization_id, (CASE outcome WHEN 4 THEN 1 ELSE outcome END), id);
CREATE INDEX emails_from_idx ON emails (organization_id, lower(from_email), id);
CREATE INDEX recipients_address_idx ON recipients (organization_id, address_key, email_id);

CREATE TABLE email_tags (
    organization_id uuid NOT NULL,
    tag             text NOT NULL,
    email_id        uuid NOT NULL,
    CONSTRAINT email_tags_pkey PRIMARY KEY (organization_id, tag, email_id)
) PARTITION BY RANGE (email_id);

-- As before, with email_tags.
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
                    'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    child, parent,
                    uuid_floor(starts AT TIME ZONE 'UTC'),
                    uuid_floor((starts + interval '1 month') AT TIME ZONE 'UTC'));
            END IF;
        END LOOP;
    END LOOP;
END
$$;
-- +goose StatementEnd
