-- Deliveries of events about messages are inserted by EventInsert, in the statement that stores the event.

-- DeliveryInsertSubscribed inserts the deliveries of an event for every enabled webhook of the organization that
-- subscribes to its type. The caller wakes the workers after the commit.
-- name: DeliveryInsertSubscribed :exec
INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, created_at)
SELECT uuid_beside(@event_id::uuid), webhooks.organization_id, webhooks.id, @event_id, @event_type::text, @payload::text, @now::timestamptz, @now
FROM webhooks
WHERE webhooks.organization_id = @organization_id AND webhooks.enabled AND @event_type = ANY (webhooks.events);

-- name: DeliveryInsert :one
INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, created_at)
VALUES (@id, @organization_id, @webhook_id, @event_id, @event_type, @payload, @now::timestamptz, @now)
RETURNING *;

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

-- DeliveryLanes finds the webhooks that have deliveries to make, and when the first of each is due. It walks past all rows
-- that have ended and are not removed yet.
-- name: DeliveryLanes :many
WITH RECURSIVE lanes AS (
    (SELECT d.webhook_id, d.due_at FROM deliveries d WHERE d.due_at IS NOT NULL ORDER BY d.webhook_id, d.due_at LIMIT 1)
    UNION ALL
    SELECT following.webhook_id, following.due_at
    FROM lanes
    CROSS JOIN LATERAL (
        SELECT d.webhook_id, d.due_at FROM deliveries d
        WHERE d.webhook_id > lanes.webhook_id AND d.due_at IS NOT NULL ORDER BY d.webhook_id, d.due_at LIMIT 1
    ) AS following
)
SELECT webhook_id::uuid AS webhook_id, due_at::timestamptz AS due_at FROM lanes;

-- DeliveryHeads finds when the first delivery of each webhook is due of those that are not due before its floor, and when
-- the first lease ends of those that do not end before its lease floor, at most last_lease.
-- name: DeliveryHeads :many
SELECT
    given.webhook_id::uuid AS webhook_id,
    head.due_at::timestamptz AS due_at,
    least((
        SELECT d.leased_until FROM deliveries d
        WHERE d.webhook_id = given.webhook_id AND d.leased_until >= given.lease_floor
        ORDER BY d.leased_until LIMIT 1
    ), @last_lease::timestamptz)::timestamptz AS leased_until
FROM (
    SELECT
        unnest(@webhook_ids::uuid[]) AS webhook_id,
        unnest(@floors::timestamptz[]) AS floor,
        unnest(@lease_floors::timestamptz[]) AS lease_floor
) AS given
CROSS JOIN LATERAL (
    SELECT d.due_at FROM deliveries d
    WHERE d.webhook_id = given.webhook_id AND d.due_at >= given.floor
    ORDER BY d.due_at LIMIT 1
) AS head;

-- DeliveryClaim leases due deliveries of webhooks that have some, in turn over organizations and their webhooks. What is due
-- before the floor of its webhook, and leases that end before its lease floor, are not looked at. A webhook has at most as
-- many in flight as its concurrency. The claiming process has quick_rows free slots for quick webhooks and other_rows for the
-- others, failing_rows of them for webhooks that fail. The lists say how many slots of either sort organizations have now.
-- No organization may have more slots of a sort than it leaves free: one alone gets half of them, and the more there are
-- that take all they can, the less each gets, so that some are left for the next.
-- name: DeliveryClaim :many
WITH lanes AS (
    SELECT
        unnest(@lanes::uuid[]) AS lane,
        unnest(@floors::timestamptz[]) AS floor,
        unnest(@lease_floors::timestamptz[]) AS lease_floor
),
busy AS MATERIALIZED (
    SELECT
        unnest(@organization_ids::uuid[]) AS organization_id,
        unnest(@quick_in_flight::integer[]) AS quick_in_flight,
        unnest(@other_in_flight::integer[]) AS other_in_flight
),
active AS MATERIALIZED (
    SELECT
        webhooks.id AS lane,
        lanes.floor,
        webhooks.organization_id,
        webhooks.quick,
        webhooks.concurrency - (
            SELECT count(*) FROM deliveries d
            WHERE d.webhook_id = webhooks.id AND d.leased_until > @now::timestamptz AND d.leased_until >= lanes.lease_floor
        ) AS room,
        coalesce(CASE WHEN webhooks.quick THEN busy.quick_in_flight ELSE busy.other_in_flight END, 0) AS in_flight,
        CAST(CASE
            WHEN webhooks.quick THEN @quick_rows::integer
            WHEN webhooks.failing_since IS NULL THEN @other_rows::integer
            ELSE @failing_rows::integer
        END AS integer) AS free
    FROM lanes
    JOIN webhooks ON webhooks.id = lanes.lane AND webhooks.enabled
    LEFT JOIN busy ON busy.organization_id = webhooks.organization_id
    WHERE coalesce(webhooks.paused_until <= @now::timestamptz, true)
),
ordered AS MATERIALIZED (
    SELECT turns.lane, turns.floor, turns.organization_id, turns.quick, turns.room, turns.in_flight, turns.free,
        row_number() OVER (PARTITION BY turns.quick ORDER BY turns.turn, uuid_hash_extended(turns.organization_id, @seed::bigint)) AS place
    FROM (
        SELECT active.*, row_number() OVER (
            PARTITION BY active.quick, active.organization_id ORDER BY uuid_hash_extended(active.lane, @seed::bigint)
        ) AS turn
        FROM active
        WHERE active.room > 0 AND active.free > 0 AND active.in_flight < greatest(active.free - 1, 1)
    ) AS turns
),
served AS MATERIALIZED (
    SELECT ordered.lane, ordered.floor, ordered.organization_id, ordered.quick, ordered.room, ordered.in_flight, ordered.free,
        count(*) OVER (PARTITION BY ordered.quick) AS lanes
    FROM ordered
    WHERE ordered.place <= ordered.free
),
candidates AS MATERIALIZED (
    SELECT served.lane, served.organization_id, served.quick, served.in_flight, served.free, due.id,
        row_number() OVER (PARTITION BY served.lane ORDER BY due.due_at, due.id) AS turn
    FROM served
    CROSS JOIN LATERAL (
        SELECT d.id, d.due_at FROM deliveries d
        WHERE d.webhook_id = served.lane AND d.due_at >= served.floor AND d.due_at <= @now::timestamptz
        ORDER BY d.due_at
        LIMIT least(served.room, ceil(served.free::numeric / served.lanes))
        FOR UPDATE SKIP LOCKED
    ) AS due
),
ranked AS (
    SELECT candidates.id, candidates.lane, candidates.organization_id, candidates.quick, candidates.in_flight, candidates.free,
        row_number() OVER (
            PARTITION BY candidates.quick, candidates.organization_id
            ORDER BY candidates.turn, uuid_hash_extended(candidates.lane, @seed::bigint)
        ) AS turn
    FROM candidates
),
placed AS (
    SELECT ranked.id, ranked.lane, ranked.in_flight, ranked.free, ranked.turn,
        row_number() OVER (PARTITION BY ranked.quick ORDER BY ranked.turn, uuid_hash_extended(ranked.organization_id, @seed::bigint)) AS place
    FROM ranked
),
taken AS (
    SELECT placed.id, placed.lane FROM placed
    WHERE placed.place <= placed.free AND placed.in_flight + placed.turn <= greatest(placed.free - placed.place, 1)
)
UPDATE deliveries
SET attempt = deliveries.attempt + 1,
    due_at = @leased_until::timestamptz,
    leased_until = @leased_until::timestamptz,
    worker_id = sqlc.narg(worker_id)::uuid
FROM taken
JOIN webhooks ON webhooks.id = taken.lane
WHERE deliveries.id = taken.id
RETURNING
    deliveries.id, deliveries.organization_id, deliveries.webhook_id, deliveries.event_id, deliveries.payload,
    deliveries.attempt, deliveries.attempts_before, webhooks.url, webhooks.sealed_secret, webhooks.previous_sealed_secret,
    webhooks.previous_secret_expires_at, webhooks.quick, webhooks.concurrency;

-- DeliverySettle stores the results of attempts that are still ours, whose ids it returns, and logs every attempt that was made.
-- One that was not made (its row of attempted is 0) is not counted. Deliveries are locked in the order of their ids.
-- name: DeliverySettle :many
WITH given AS MATERIALIZED (
    SELECT
        unnest(@ids::uuid[]) AS id,
        unnest(@attempts::integer[]) AS attempt,
        unnest(@attempted::integer[]) AS attempted,
        unnest(@states::text[]) AS state,
        unnest(@due_at::timestamptz[]) AS due_at,
        unnest(@finished_at::timestamptz[]) AS finished_at,
        unnest(@at::timestamptz[]) AS at,
        unnest(@duration_ms::bigint[]) AS duration_ms,
        unnest(@status_codes::integer[]) AS status_code,
        unnest(@response_excerpts::text[]) AS response_excerpt,
        unnest(@errors::text[]) AS error
),
locked AS MATERIALIZED (
    SELECT d.id FROM deliveries d WHERE d.id = ANY (@ids::uuid[]) ORDER BY d.id FOR NO KEY UPDATE
),
logged AS (
    INSERT INTO delivery_attempts (delivery_id, attempt, at, duration_ms, status_code, response_excerpt, error)
    SELECT given.id, given.attempt, given.at, given.duration_ms,
        nullif(given.status_code, 0), nullif(given.response_excerpt, ''), nullif(given.error, '')
    FROM given JOIN locked ON locked.id = given.id
    WHERE given.attempted = 1
    ON CONFLICT (delivery_id, attempt) DO NOTHING
)
UPDATE deliveries
SET state = given.state,
    due_at = CASE WHEN given.state = 'Pending' THEN given.due_at END,
    leased_until = NULL,
    attempt = given.attempt - 1 + given.attempted,
    finished_at = CASE WHEN given.state <> 'Pending' THEN given.finished_at END
FROM given JOIN locked ON locked.id = given.id
WHERE deliveries.id = given.id AND deliveries.attempt = given.attempt AND deliveries.leased_until IS NOT NULL
RETURNING deliveries.id;

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
