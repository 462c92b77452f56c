-- name: EmailInsert :exec
INSERT INTO emails (
    id, organization_id, api_key_id, domain_id, from_email, from_name, to_email, cc, bcc, reply_to, subject, tags,
    queued_at, created_at
)
SELECT
    unnest(@ids::uuid[]),
    unnest(@organization_ids::uuid[]),
    unnest(@api_key_ids::uuid[]),
    unnest(@domain_ids::uuid[]),
    unnest(@from_emails::text[]),
    unnest(@from_names::text[]),
    unnest(@to_emails::text[]),
    unnest(@ccs::text[]),
    unnest(@bccs::text[]),
    unnest(@reply_tos::text[]),
    unnest(@subjects::text[]),
    string_to_array(unnest(@tags::text[]), ','),
    @now::timestamptz,
    @now::timestamptz;

-- name: RecipientInsert :exec
INSERT INTO recipients (email_id, position, organization_id, kind, name, address, address_key)
SELECT
    unnest(@email_ids::uuid[]),
    unnest(@positions::smallint[]),
    unnest(@organization_ids::uuid[]),
    unnest(@kinds::text[]),
    unnest(@names::text[]),
    unnest(@addresses::text[]),
    unnest(@address_keys::text[]);

-- name: ContentInsert :exec
INSERT INTO contents (email_id, organization_id, html, text)
SELECT unnest(@email_ids::uuid[]), unnest(@organization_ids::uuid[]), unnest(@htmls::text[]), unnest(@texts::text[]);

-- EmailGet reads a message by its id. IS NOT DISTINCT FROM, which no index serves, keeps Postgres from an index that begins with
-- the organization: planned while a partition is small, it would walk all messages of the organization for each one. Other
-- statements that look up by an id do the same, those with a list of organizations by IS TRUE.
-- name: EmailGet :one
SELECT * FROM emails WHERE organization_id IS NOT DISTINCT FROM @organization_id AND id = @id;

-- name: RecipientList :many
SELECT * FROM recipients
WHERE organization_id IS NOT DISTINCT FROM @organization_id AND email_id = @email_id
ORDER BY position;

-- EmailMarkSent stores that SES accepted the messages. The highest outcome and the first provider id stand,
-- whatever the order in which events arrive.
-- name: EmailMarkSent :exec
UPDATE emails
SET outcome = greatest(emails.outcome, @outcome::smallint),
    provider_message_id = coalesce(emails.provider_message_id, sent.provider_message_id),
    sent_at = coalesce(emails.sent_at, sent.sent_at),
    error_message = CASE WHEN emails.outcome > @outcome::smallint THEN emails.error_message END
FROM (
    SELECT
        unnest(@ids::uuid[]) AS id,
        unnest(@organization_ids::uuid[]) AS organization_id,
        unnest(@provider_message_ids::text[]) AS provider_message_id,
        unnest(@sent_at::timestamptz[]) AS sent_at
) AS sent
WHERE emails.id = sent.id AND emails.organization_id IS NOT DISTINCT FROM sent.organization_id;

-- EmailMarkFailed stores that we gave up. A message that SES has accepted stays accepted.
-- name: EmailMarkFailed :exec
UPDATE emails
SET outcome = greatest(emails.outcome, @outcome::smallint),
    error_message = CASE WHEN emails.outcome > @outcome::smallint THEN emails.error_message ELSE failed.error_message END
FROM (
    SELECT
        unnest(@ids::uuid[]) AS id,
        unnest(@organization_ids::uuid[]) AS organization_id,
        unnest(@error_messages::text[]) AS error_message
) AS failed
WHERE emails.id = failed.id AND emails.organization_id IS NOT DISTINCT FROM failed.organization_id;

-- EventInsert stores events, each once, and inserts the deliveries of the new ones for every enabled webhook that
-- subscribes to their type. It reads a message only for a delivery. The delivery has the status that the event
-- implies, or a higher stored one, so that the order of the two writes does not matter; impl/mail defines what each
-- event means. If the event raises the status, the stored error belongs to a lower one and is left out. Package store
-- notifies what it returns after the commit. No delivery is due before due_from: claims would begin to look that far back.
-- name: EventInsert :exec
WITH stored AS (
    INSERT INTO events (email_id, fact_key, id, organization_id, type, data, occurred_at)
    SELECT
        unnest(@email_ids::uuid[]),
        unnest(@fact_keys::text[]),
        unnest(@ids::uuid[]),
        unnest(@organization_ids::uuid[]),
        unnest(@types::text[]),
        unnest(@data::jsonb[]),
        unnest(@occurred_at::timestamptz[])
    ON CONFLICT (email_id, fact_key) DO NOTHING
    RETURNING email_id, fact_key, id, organization_id, type, data, occurred_at
),
wanted AS MATERIALIZED (
    SELECT stored.*, webhooks.id AS webhook_id, CASE stored.type
            WHEN 'email.sent' THEN 2
            WHEN 'email.delivered' THEN 3
            WHEN 'email.bounced' THEN CASE WHEN stored.fact_key LIKE 'softBounced/%' THEN 7 ELSE 5 END
            WHEN 'email.complained' THEN 6
            WHEN 'email.failed' THEN CASE WHEN stored.fact_key LIKE 'rejected/%' THEN 4 ELSE 1 END
            ELSE 0 END::smallint AS outcome
    FROM stored
    JOIN webhooks ON webhooks.organization_id = stored.organization_id
        AND webhooks.enabled
        AND stored.type = ANY (webhooks.events)
),
told AS (
    INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, created_at)
    SELECT
        uuid_beside(wanted.id), wanted.organization_id, wanted.webhook_id, wanted.id, wanted.type,
        json_build_object(
            'id', wanted.id,
            'type', wanted.type,
            'createdAt', to_char(wanted.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'data', json_build_object(
                'id', wanted.email_id,
                'fromEmail', message.from_email,
                'toEmail', message.to_email,
                'subject', message.subject,
                'tags', nullif(array_to_string(message.tags, ','), ''),
                'status', CASE higher_outcome(message.outcome, wanted.outcome)
                    WHEN 1 THEN 'Failed' WHEN 2 THEN 'Sent' WHEN 3 THEN 'Delivered' WHEN 4 THEN 'Failed'
                    WHEN 5 THEN 'Bounced' WHEN 6 THEN 'Complained' WHEN 7 THEN 'Bounced' ELSE 'Queued' END,
                'errorMessage', coalesce(nullif(wanted.data ->> 'reason', ''),
                    CASE WHEN higher_outcome(message.outcome, wanted.outcome) = message.outcome THEN message.error_message END),
                'providerMessageId', coalesce(message.provider_message_id, wanted.data ->> 'providerMessageId'),
                'details', wanted.data
            )
        )::text,
        greatest(least(wanted.occurred_at, now()), @due_from::timestamptz), wanted.occurred_at
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT emails.* FROM emails
        WHERE emails.id = wanted.email_id AND emails.organization_id IS NOT DISTINCT FROM wanted.organization_id
        LIMIT 1
    ) AS message
    RETURNING webhook_id, due_at
)
SELECT 'deliveries'::text AS notify_after_commit, told.webhook_id, min(told.due_at) FROM told GROUP BY told.webhook_id;

-- TagInsert indexes messages by their tags.
-- name: TagInsert :exec
INSERT INTO email_tags (organization_id, tag, email_id)
SELECT unnest(@organization_ids::uuid[]), unnest(@tags::text[]), unnest(@email_ids::uuid[]);

-- EmailList and the queries like it read a page, newest first, of the ids from from_id to below before_id. An id
-- contains the time of its message, to the millisecond, so these bounds also bound times. How long the queries take
-- must not depend on the number of rows or of matches, and Postgres knows little of either:
--
-- The bounds compare a value and an id together, as the ORDER BY does: only the index that begins with the value
-- can serve that. With a plain equality on the value, Postgres may instead walk an index of all ids and skip what
-- does not match, which takes longer the rarer the value is, or the smaller the organization. Both bounds include
-- the value, because Postgres estimates the number of rows up to and from it.
--
-- Rows older than from_id are filtered out of the page after it was read: beside other bounds of an index, this one
-- does not end the walk.
--
-- The inner limit, which exceeds any page, is for the planner. It takes an unknown limit to be a tenth of all rows,
-- and then plans every query anew, which takes longer than the query.
-- name: EmailList :many
SELECT emails.* FROM (
    SELECT * FROM emails
    WHERE (organization_id, id) >= (@organization_id::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
      AND (organization_id, id) <= (@organization_id::uuid, @before_id::uuid)
      AND id <> @before_id
    ORDER BY organization_id DESC, id DESC
    LIMIT 101
) AS emails
WHERE emails.id >= @from_id
ORDER BY emails.id DESC
LIMIT @max_rows;

-- name: EmailListByStatus :many
SELECT emails.* FROM (
    SELECT * FROM emails
    WHERE organization_id = @organization_id
      AND ((CASE outcome WHEN 4 THEN 1 ELSE outcome END), id) >= (@outcome::smallint, '00000000-0000-0000-0000-000000000000'::uuid)
      AND ((CASE outcome WHEN 4 THEN 1 ELSE outcome END), id) <= (@outcome::smallint, @before_id::uuid)
      AND id <> @before_id
    ORDER BY (CASE outcome WHEN 4 THEN 1 ELSE outcome END) DESC, id DESC
    LIMIT 101
) AS emails
WHERE emails.id >= @from_id
ORDER BY emails.id DESC
LIMIT @max_rows;

-- EmailListBounced reads the messages of both outcomes that show as Bounced, each from its own end of the index.
-- name: EmailListBounced :many
SELECT emails.* FROM (
    (SELECT * FROM emails AS bounced
    WHERE bounced.organization_id = @organization_id
      AND ((CASE bounced.outcome WHEN 4 THEN 1 ELSE bounced.outcome END), bounced.id) >= (5::smallint, '00000000-0000-0000-0000-000000000000'::uuid)
      AND ((CASE bounced.outcome WHEN 4 THEN 1 ELSE bounced.outcome END), bounced.id) <= (5::smallint, @before_id::uuid)
      AND bounced.id <> @before_id
    ORDER BY (CASE bounced.outcome WHEN 4 THEN 1 ELSE bounced.outcome END) DESC, bounced.id DESC
    LIMIT 101)
    UNION ALL
    (SELECT * FROM emails AS soft
    WHERE soft.organization_id = @organization_id
      AND ((CASE soft.outcome WHEN 4 THEN 1 ELSE soft.outcome END), soft.id) >= (7::smallint, '00000000-0000-0000-0000-000000000000'::uuid)
      AND ((CASE soft.outcome WHEN 4 THEN 1 ELSE soft.outcome END), soft.id) <= (7::smallint, @before_id::uuid)
      AND soft.id <> @before_id
    ORDER BY (CASE soft.outcome WHEN 4 THEN 1 ELSE soft.outcome END) DESC, soft.id DESC
    LIMIT 101)
) AS emails
WHERE emails.id >= @from_id
ORDER BY emails.id DESC
LIMIT @max_rows;

-- name: EmailListByFrom :many
SELECT emails.* FROM (
    SELECT * FROM emails
    WHERE organization_id = @organization_id
      AND (lower(from_email), id) >= (@address_key::text, '00000000-0000-0000-0000-000000000000'::uuid)
      AND (lower(from_email), id) <= (@address_key::text, @before_id::uuid)
      AND id <> @before_id
    ORDER BY lower(from_email) DESC, id DESC
    LIMIT 101
) AS emails
WHERE emails.id >= @from_id
ORDER BY emails.id DESC
LIMIT @max_rows;

-- EmailListByTo finds a message once, even if it names the address twice. Like EmailListByTag, it looks each
-- message of the page up by its id: with a join without a limit, Postgres may walk all messages down to the
-- page.
-- name: EmailListByTo :many
SELECT emails.* FROM (
    SELECT DISTINCT recipients.address_key, recipients.email_id FROM recipients
    WHERE recipients.organization_id = @organization_id
      AND (recipients.address_key, recipients.email_id) >= (@address_key::text, '00000000-0000-0000-0000-000000000000'::uuid)
      AND (recipients.address_key, recipients.email_id) <= (@address_key::text, @before_id::uuid)
      AND recipients.email_id <> @before_id
    ORDER BY recipients.address_key DESC, recipients.email_id DESC
    LIMIT 101
) AS found
CROSS JOIN LATERAL (
    SELECT * FROM emails WHERE id = found.email_id AND organization_id IS NOT DISTINCT FROM @organization_id LIMIT 1
) AS emails
WHERE emails.id >= @from_id
ORDER BY emails.id DESC
LIMIT @max_rows;

-- name: EmailListByTag :many
SELECT emails.* FROM (
    SELECT email_tags.email_id FROM email_tags
    WHERE email_tags.organization_id = @organization_id
      AND email_tags.tag = @tag
      AND email_tags.email_id >= @from_id AND email_tags.email_id < @before_id
    ORDER BY email_tags.email_id DESC
    LIMIT 101
) AS found
CROSS JOIN LATERAL (
    SELECT * FROM emails WHERE id = found.email_id AND organization_id IS NOT DISTINCT FROM @organization_id LIMIT 1
) AS emails
ORDER BY emails.id DESC
LIMIT @max_rows;
