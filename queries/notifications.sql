-- NotificationInsert stores notifications of SES, each once, and returns how many are new. It inserts in the order of their
-- ids, so that two transactions that store the same ones never deadlock. The caller wakes the workers after the commit.
-- name: NotificationInsert :execrows
INSERT INTO notifications (message_id, body, received_at, due_at)
SELECT given.message_id, given.body, @now::timestamptz, @now::timestamptz
FROM (SELECT unnest(@message_ids::text[]) AS message_id, unnest(@bodies::text[]) AS body) AS given
ORDER BY given.message_id
ON CONFLICT (message_id) DO NOTHING;

-- NotificationTake locks due notifications and returns them, the longest due first. The lock is the lease: it ends with
-- the transaction, also where the process dies. They have no lanes: their organization is known only after they are
-- parsed. What is due before the floor is not looked at. What exceeds max_bytes of bodies is left out, but for the first.
-- name: NotificationTake :many
WITH due AS MATERIALIZED (
    SELECT n.message_id, n.body, n.received_at, n.due_at, n.attempt FROM notifications n
    WHERE n.due_at >= @floor::timestamptz AND n.due_at <= @now::timestamptz
    ORDER BY n.due_at
    LIMIT @max_rows
    FOR UPDATE SKIP LOCKED
)
SELECT taken.message_id, coalesce(taken.body, '')::text AS body, taken.received_at, taken.due_at::timestamptz AS due_at, taken.attempt
FROM (
    SELECT due.*, sum(octet_length(due.body)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - octet_length(due.body) AS bytes_before
    FROM due
) AS taken
WHERE coalesce(taken.bytes_before, 0) < @max_bytes::bigint;

-- NotificationTakeAgain does the same for some of those that were taken before.
-- name: NotificationTakeAgain :many
SELECT message_id, coalesce(body, '')::text AS body, received_at, due_at::timestamptz AS due_at, attempt FROM notifications
WHERE message_id = ANY (@message_ids::text[]) AND due_at <= @now::timestamptz
ORDER BY due_at
FOR UPDATE SKIP LOCKED;

-- NotificationSettle ends the work of notifications. Doing so twice is doing so once.
-- name: NotificationSettle :exec
UPDATE notifications SET due_at = NULL, leased_until = NULL, body = NULL WHERE message_id = ANY (@message_ids::text[]);

-- NotificationSettleProbe ends the work of a notification about a probe. It leaves the probe id in the body, for
-- the process that waits for it, as long as the notification is retained.
-- name: NotificationSettleProbe :exec
UPDATE notifications SET due_at = NULL, leased_until = NULL, body = @probe::text WHERE message_id = @message_id;

-- NotificationGetByProbe reports whether a notification about a probe was stored since the probe was sent, handled
-- or not.
-- name: NotificationGetByProbe :one
SELECT EXISTS (
    SELECT FROM notifications WHERE received_at >= @since::timestamptz AND position(@probe::text IN body) > 0
);

-- NotificationPostpone puts notifications back, and counts that, unless they were put back meanwhile.
-- name: NotificationPostpone :exec
UPDATE notifications SET due_at = postponed.due_at, attempt = notifications.attempt + 1, leased_until = NULL
FROM (
    SELECT
        unnest(@message_ids::text[]) AS message_id,
        unnest(@attempts::integer[]) AS attempt,
        unnest(@due_at::timestamptz[]) AS due_at
) AS postponed
WHERE notifications.message_id = postponed.message_id
  AND notifications.attempt = postponed.attempt
  AND notifications.due_at IS NOT NULL;

-- NotificationDeleteExpired deletes some of the settled notifications that are too old to be delivered again.
-- name: NotificationDeleteExpired :execrows
DELETE FROM notifications
WHERE message_id IN (
    SELECT n.message_id FROM notifications n
    WHERE n.received_at < @before::timestamptz AND n.due_at IS NULL
    ORDER BY n.received_at
    LIMIT @max_rows
    FOR UPDATE SKIP LOCKED
);

-- NotificationLatest returns when the latest notification of SES arrived.
-- name: NotificationLatest :one
SELECT received_at FROM notifications ORDER BY received_at DESC LIMIT 1;

-- The following statements store the events of messages. We set the tag that names the message, and it came back in a
-- verified notification, so the message determines the organization.

-- EmailLockForEvents finds and locks the messages that notifications name, by our ids or by SES's, with a row for each of
-- their recipients, of which a message has at most 50; position is -1 where it has none. While a message is locked, no
-- other transaction stores events about it. It ends the work of sending the messages that SES accepted, as SendComplete does.
-- A message of which another transaction has a row is busy: it is neither locked nor waited for. Each message is looked up by
-- itself, whatever Postgres knows about the tables.
-- name: EmailLockForEvents :many
WITH done AS MATERIALIZED (
    SELECT s.email_id FROM sends s WHERE s.email_id = ANY (@accepted::uuid[]) ORDER BY s.email_id FOR UPDATE SKIP LOCKED
), ended AS (
    DELETE FROM sends WHERE email_id IN (SELECT done.email_id FROM done)
), busy AS MATERIALIZED (
    SELECT s.email_id FROM sends s
    WHERE s.email_id = ANY (@accepted::uuid[]) AND NOT EXISTS (SELECT FROM done WHERE done.email_id = s.email_id)
), named AS (
    SELECT unnest(@ids::uuid[]) AS id
    UNION ALL
    SELECT found.id
    FROM (SELECT unnest(@provider_message_ids::text[]) AS provider_message_id) AS given
    CROSS JOIN LATERAL (
        SELECT e.id FROM emails e WHERE e.provider_message_id = given.provider_message_id ORDER BY e.id LIMIT 1
    ) AS found
)
SELECT wanted.id::uuid AS id, (locked.id IS NULL)::boolean AS is_busy,
    coalesce(locked.organization_id, seen.organization_id)::uuid AS organization_id, coalesce(locked.outcome, 0)::smallint AS outcome,
    coalesce(locked.provider_message_id, seen.provider_message_id, '')::text AS provider_message_id,
    coalesce(locked.has_sent_at, false)::boolean AS has_sent_at,
    coalesce(known.position, -1)::smallint AS position, coalesce(known.address, '')::text AS address,
    coalesce(known.address_key, '')::text AS address_key, coalesce(known.outcome, 0)::smallint AS recipient_outcome
FROM (SELECT DISTINCT named.id FROM named) AS wanted
LEFT JOIN busy ON busy.email_id = wanted.id
LEFT JOIN LATERAL (
    SELECT e.id, e.organization_id, e.outcome, e.provider_message_id, e.sent_at IS NOT NULL AS has_sent_at
    FROM emails e WHERE e.id = wanted.id AND busy.email_id IS NULL LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
) AS locked ON true
LEFT JOIN LATERAL (
    SELECT e.organization_id, e.provider_message_id FROM emails e WHERE e.id = wanted.id AND locked.id IS NULL LIMIT 1
) AS seen ON true
LEFT JOIN LATERAL (
    SELECT r.position, r.address, r.address_key, r.outcome FROM recipients r
    WHERE r.email_id = locked.id AND r.organization_id IS NOT DISTINCT FROM locked.organization_id
    ORDER BY r.email_id, r.position
    LIMIT 50
) AS known ON true
WHERE locked.id IS NOT NULL OR seen.organization_id IS NOT NULL
ORDER BY wanted.id, known.position;

-- EmailSetProviderID stores the ids that SES gave messages, unless one is stored.
-- name: EmailSetProviderID :exec
UPDATE emails SET provider_message_id = given.provider_message_id
FROM (
    SELECT
        unnest(@ids::uuid[]) AS id,
        unnest(@organization_ids::uuid[]) AS organization_id,
        unnest(@provider_message_ids::text[]) AS provider_message_id
) AS given
WHERE emails.id = given.id AND emails.organization_id IS NOT DISTINCT FROM given.organization_id AND emails.provider_message_id IS NULL;

-- RecipientRaiseOutcome stores the outcome of recipients. The highest outcome stands.
-- name: RecipientRaiseOutcome :exec
UPDATE recipients
SET outcome = marked.outcome
FROM (
    SELECT
        unnest(@email_ids::uuid[]) AS email_id,
        unnest(@organization_ids::uuid[]) AS organization_id,
        unnest(@positions::smallint[]) AS position,
        unnest(@outcomes::smallint[]) AS outcome
) AS marked
WHERE recipients.email_id = marked.email_id
  AND recipients.organization_id IS NOT DISTINCT FROM marked.organization_id
  AND recipients.position = marked.position
  AND higher_outcome(recipients.outcome, marked.outcome) <> recipients.outcome;

-- EmailRaiseOutcome stores the outcome of messages. The highest outcome stands, and its reason is the reason of the
-- earliest event with that outcome, in whatever order the events arrived. What was sent or delivered has none. The zero time
-- of Go stands for none.
-- name: EmailRaiseOutcome :exec
UPDATE emails
SET outcome = higher_outcome(emails.outcome, raised.outcome),
    sent_at = coalesce(emails.sent_at, raised.sent_at),
    error_message = CASE WHEN higher_outcome(emails.outcome, raised.outcome) >= 4 THEN (
        SELECT nullif(events.data ->> 'reason', '') FROM events
        WHERE events.email_id = raised.id AND events.organization_id = raised.organization_id
          AND CASE events.type
                WHEN 'email.bounced' THEN CASE WHEN events.fact_key LIKE 'softBounced/%' THEN 7 ELSE 5 END
                WHEN 'email.complained' THEN 6
                WHEN 'email.failed' THEN CASE WHEN events.fact_key LIKE 'rejected/%' THEN 4 ELSE 1 END
            END = higher_outcome(emails.outcome, raised.outcome)
        ORDER BY events.occurred_at, events.fact_key
        LIMIT 1
    ) END
FROM (
    SELECT
        unnest(@ids::uuid[]) AS id,
        unnest(@organization_ids::uuid[]) AS organization_id,
        unnest(@outcomes::smallint[]) AS outcome,
        nullif(unnest(@sent_at::timestamptz[]), '0001-01-01 00:00:00+00') AS sent_at
) AS raised
WHERE emails.id = raised.id AND emails.organization_id IS NOT DISTINCT FROM raised.organization_id;

-- EventList reads a page of the events of a message, newest first, with the two limits of EmailList.
-- name: EventList :many
SELECT events.* FROM (
    SELECT * FROM events
    WHERE organization_id = @organization_id AND email_id = @email_id AND id < @before_id
    ORDER BY id DESC
    LIMIT 101
) AS events
ORDER BY events.id DESC
LIMIT @max_rows;
