-- NotificationInsert stores a notification of SES once. It affects one row if the notification is new. The caller wakes the
-- workers after the commit.
-- name: NotificationInsert :execrows
INSERT INTO notifications (message_id, body, received_at, due_at)
VALUES (@message_id, @body::text, @now::timestamptz, @now::timestamptz)
ON CONFLICT (message_id) DO NOTHING;

-- NotificationInsertMany does the same for several notifications, in the order of their ids, so that two
-- transactions that store the same ones never deadlock.
-- name: NotificationInsertMany :execrows
INSERT INTO notifications (message_id, body, received_at, due_at)
SELECT given.message_id, given.body, @now::timestamptz, @now::timestamptz
FROM (SELECT unnest(@message_ids::text[]) AS message_id, unnest(@bodies::text[]) AS body) AS given
ORDER BY given.message_id
ON CONFLICT (message_id) DO NOTHING;

-- NotificationClaim leases due notifications. They have no lanes: their organization is known only after they are
-- parsed.
-- name: NotificationClaim :many
WITH taken AS (
    SELECT n.message_id FROM notifications n
    WHERE n.due_at <= @now::timestamptz
    ORDER BY n.due_at
    LIMIT @max_rows
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications
SET attempt = notifications.attempt + 1,
    due_at = @leased_until::timestamptz,
    leased_until = @leased_until::timestamptz
FROM taken
WHERE notifications.message_id = taken.message_id
RETURNING notifications.message_id, coalesce(notifications.body, '')::text AS body, notifications.received_at,
    notifications.attempt;

-- NotificationSettle ends the work of a notification. Doing so twice is doing so once.
-- name: NotificationSettle :exec
UPDATE notifications SET due_at = NULL, leased_until = NULL, body = NULL WHERE message_id = @message_id;

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

-- NotificationPostpone puts a notification back if the attempt is still ours.
-- name: NotificationPostpone :exec
UPDATE notifications SET due_at = @due_at::timestamptz, leased_until = NULL
WHERE message_id = @message_id AND attempt = @attempt AND leased_until IS NOT NULL;

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

-- The following statements store the events of one message. We set the tag that names the message, and it came back
-- in a verified notification, so the message determines the organization.

-- EmailLockForEvent finds and locks the message that a notification names, so that its events are stored one after
-- the other.
-- name: EmailLockForEvent :one
SELECT id, organization_id, outcome, provider_message_id FROM emails WHERE id = @id FOR NO KEY UPDATE;

-- name: EmailLockForEventByProviderID :one
SELECT id, organization_id, outcome, provider_message_id FROM emails
WHERE provider_message_id = @provider_message_id::text
ORDER BY id
LIMIT 1
FOR NO KEY UPDATE;

-- EventListKnown returns which of the given events are stored.
-- name: EventListKnown :many
SELECT fact_key FROM events
WHERE organization_id = @organization_id AND email_id = @email_id AND fact_key = ANY (@fact_keys::text[]);

-- EventListFailures returns the stored events that say why a message failed, earliest first.
-- name: EventListFailures :many
SELECT fact_key, type, coalesce(data ->> 'reason', '')::text AS reason FROM events
WHERE organization_id = @organization_id AND email_id = @email_id
  AND type IN ('email.failed', 'email.bounced', 'email.complained')
ORDER BY occurred_at, fact_key
LIMIT 200;

-- RecipientRaiseOutcome stores the outcome of recipients. The highest outcome stands.
-- name: RecipientRaiseOutcome :exec
UPDATE recipients
SET outcome = higher_outcome(recipients.outcome, marked.outcome)
FROM (SELECT unnest(@positions::smallint[]) AS position, unnest(@outcomes::smallint[]) AS outcome) AS marked
WHERE recipients.email_id = @email_id
  AND recipients.organization_id IS NOT DISTINCT FROM @organization_id
  AND recipients.position = marked.position;

-- EmailSetProviderID stores the id that SES gave the message, unless one is stored.
-- name: EmailSetProviderID :exec
UPDATE emails SET provider_message_id = @provider_message_id::text
WHERE id = @id AND organization_id = @organization_id AND provider_message_id IS NULL;

-- EmailRaiseOutcome stores the outcome of a message. The highest outcome stands.
-- name: EmailRaiseOutcome :exec
UPDATE emails
SET outcome = higher_outcome(outcome, @outcome::smallint),
    sent_at = coalesce(sent_at, sqlc.narg(sent_at)::timestamptz),
    error_message = nullif(@error_message::text, '')
WHERE id = @id AND organization_id = @organization_id;

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
