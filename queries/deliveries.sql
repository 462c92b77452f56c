-- Deliveries of events about messages are inserted by EventInsert, in the statement that stores the event.

-- DeliveryInsertSubscribed inserts the deliveries of an event for every enabled webhook of the organization that
-- subscribes to its type, and wakes the workers.
-- name: DeliveryInsertSubscribed :exec
WITH told AS (
    INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, created_at)
    SELECT uuid_beside(@event_id::uuid), webhooks.organization_id, webhooks.id, @event_id, @event_type::text, @payload::text, @now::timestamptz, @now
    FROM webhooks
    WHERE webhooks.organization_id = @organization_id AND webhooks.enabled AND @event_type = ANY (webhooks.events)
    RETURNING id
)
SELECT pg_notify('deliveries', '') FROM told LIMIT 1;

-- name: DeliveryInsert :one
INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, created_at)
VALUES (@id, @organization_id, @webhook_id, @event_id, @event_type, @payload, @now::timestamptz, @now)
RETURNING *;

-- DeliveryNotify wakes the workers when the transaction commits.
-- name: DeliveryNotify :exec
SELECT pg_notify('deliveries', '');

-- DeliveryList reads a page as EmailList does.
-- name: DeliveryList :many
SELECT deliveries.* FROM (
    SELECT * FROM deliveries
    WHERE organization_id = @organization_id
      AND (webhook_id, id) >= (@webhook_id::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
      AND (webhook_id, id) <= (@webhook_id::uuid, @before_id::uuid)
      AND id <> @before_id
    ORDER BY webhook_id DESC, id DESC
    LIMIT 101
) AS deliveries
ORDER BY deliveries.id DESC
LIMIT @max_rows;

-- DeliveryAttempts reads the latest attempts of deliveries, at most per_delivery of each.
-- name: DeliveryAttempts :many
SELECT found.*
FROM (SELECT deliveries.id FROM deliveries WHERE deliveries.organization_id = @organization_id AND deliveries.id = ANY (@ids::uuid[])) AS wanted
CROSS JOIN LATERAL (
    SELECT delivery_attempts.* FROM delivery_attempts
    WHERE delivery_attempts.delivery_id = wanted.id
    ORDER BY delivery_attempts.attempt DESC
    LIMIT @per_delivery
) AS found
ORDER BY found.delivery_id, found.attempt;

-- DeliveryReplay makes a delivery due now with all its attempts left, unless it is being attempted.
-- name: DeliveryReplay :one
UPDATE deliveries
SET state = CASE WHEN leased_until > @now::timestamptz THEN state ELSE 'Pending' END,
    due_at = CASE WHEN leased_until > @now THEN due_at ELSE @now END,
    leased_until = CASE WHEN leased_until > @now THEN leased_until END,
    attempts_before = CASE WHEN leased_until > @now THEN attempts_before ELSE attempt END,
    finished_at = CASE WHEN leased_until > @now THEN finished_at END
WHERE organization_id = @organization_id AND webhook_id = @webhook_id AND id = @id
RETURNING *;

-- DeliveryClaim leases due deliveries, in turn over the webhooks that have any, as SendClaim does. A webhook has at
-- most per_lane deliveries in flight, and one if its last attempt failed, so that a slow or dead endpoint does not
-- hold up the others.
-- name: DeliveryClaim :many
WITH RECURSIVE lanes AS (
    (SELECT d.webhook_id AS lane FROM deliveries d WHERE d.due_at IS NOT NULL ORDER BY d.webhook_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.webhook_id FROM deliveries d
        WHERE d.webhook_id > lanes.lane AND d.due_at IS NOT NULL ORDER BY d.webhook_id LIMIT 1
    )
    FROM lanes
    WHERE lanes.lane IS NOT NULL
),
active AS MATERIALIZED (
    SELECT
        webhooks.id AS lane,
        CASE WHEN webhooks.failing_since IS NULL THEN @per_lane::integer ELSE 1 END - (
            SELECT count(*) FROM deliveries d WHERE d.webhook_id = webhooks.id AND d.leased_until > @now::timestamptz
        ) AS room
    FROM lanes
    JOIN webhooks ON webhooks.id = lanes.lane AND webhooks.enabled
    WHERE coalesce(webhooks.paused_until <= @now::timestamptz, true)
      AND EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook_id = webhooks.id AND d.due_at <= @now::timestamptz)
    ORDER BY uuid_hash_extended(webhooks.id, @seed::bigint)
),
served AS MATERIALIZED (
    SELECT lane, room FROM active WHERE room > 0 ORDER BY uuid_hash_extended(lane, @seed::bigint) LIMIT @max_rows
),
candidates AS MATERIALIZED (
    SELECT served.lane, due.id, due.due_at
    FROM served
    CROSS JOIN LATERAL (
        SELECT d.id, d.due_at FROM deliveries d
        WHERE d.webhook_id = served.lane AND d.due_at <= @now::timestamptz
        ORDER BY d.due_at
        LIMIT least(served.room, (SELECT ceil(CAST(@max_rows AS integer)::numeric / nullif(count(*), 0)) FROM served))
        FOR UPDATE SKIP LOCKED
    ) AS due
),
taken AS (
    SELECT ranked.id, ranked.lane
    FROM (
        SELECT id, lane, row_number() OVER (PARTITION BY lane ORDER BY due_at, id) AS turn
        FROM candidates
    ) AS ranked
    ORDER BY ranked.turn, uuid_hash_extended(ranked.lane, @seed::bigint)
    LIMIT @max_rows
)
UPDATE deliveries
SET attempt = deliveries.attempt + 1,
    due_at = @leased_until::timestamptz,
    leased_until = @leased_until::timestamptz
FROM taken
JOIN webhooks ON webhooks.id = taken.lane
WHERE deliveries.id = taken.id
RETURNING
    deliveries.id, deliveries.webhook_id, deliveries.event_id, deliveries.payload, deliveries.attempt,
    deliveries.attempts_before, webhooks.url, webhooks.sealed_secret, webhooks.previous_sealed_secret,
    webhooks.previous_secret_expires_at;

-- DeliverySettle stores the result of an attempt if the attempt is still ours, and logs the attempt.
-- name: DeliverySettle :execrows
WITH logged AS (
    INSERT INTO delivery_attempts (delivery_id, attempt, at, duration_ms, status_code, response_excerpt, error)
    SELECT deliveries.id, @attempt::integer, @at::timestamptz, @duration_ms::bigint, sqlc.narg('status_code')::integer, sqlc.narg('response_excerpt')::text, sqlc.narg('error')::text
    FROM deliveries WHERE deliveries.id = @id
    ON CONFLICT (delivery_id, attempt) DO NOTHING
)
UPDATE deliveries
SET state = @state,
    due_at = sqlc.narg('due_at')::timestamptz,
    leased_until = NULL,
    finished_at = sqlc.narg('finished_at')::timestamptz
WHERE deliveries.id = @id AND deliveries.attempt = @attempt AND deliveries.leased_until IS NOT NULL;

-- DeliveryPostpone puts back a delivery that was not attempted, if the claim is still ours.
-- name: DeliveryPostpone :exec
UPDATE deliveries
SET due_at = @due_at::timestamptz, leased_until = NULL, attempt = attempt - 1
WHERE id = @id AND attempt = @attempt AND leased_until IS NOT NULL;

-- DeliveryDeleteExpired deletes some of the deliveries that are older than the retention.
-- name: DeliveryDeleteExpired :execrows
DELETE FROM deliveries WHERE id IN (
    SELECT d.id FROM deliveries d WHERE d.id < uuid_floor(@before::timestamptz) ORDER BY d.id LIMIT @max_rows FOR UPDATE SKIP LOCKED
);

-- DeliveryDeleteOrphaned deletes some of the deliveries whose webhook was deleted.
-- name: DeliveryDeleteOrphaned :execrows
DELETE FROM deliveries WHERE id IN (
    SELECT d.id FROM deliveries d
    WHERE d.due_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM webhooks WHERE webhooks.id = d.webhook_id)
    ORDER BY d.webhook_id
    LIMIT @max_rows
    FOR UPDATE SKIP LOCKED
);
