-- QueueDepth counts the due rows of each kind of work, and returns since when the oldest is due. It goes from lane
-- to lane by the indexes of the claims and reads no more rows than it counts, at most max_rows of each kind. The
-- oldest is now if nothing is due.
-- name: QueueDepth :many
WITH RECURSIVE send_lanes AS (
    (SELECT s.organization_id AS lane FROM sends s ORDER BY s.organization_id LIMIT 1)
    UNION ALL
    SELECT (SELECT s.organization_id FROM sends s WHERE s.organization_id > l.lane ORDER BY s.organization_id LIMIT 1)
    FROM send_lanes l WHERE l.lane IS NOT NULL
),
delivery_lanes AS (
    (SELECT d.webhook_id AS lane FROM deliveries d WHERE d.due_at IS NOT NULL ORDER BY d.webhook_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.webhook_id FROM deliveries d WHERE d.webhook_id > l.lane AND d.due_at IS NOT NULL ORDER BY d.webhook_id LIMIT 1)
    FROM delivery_lanes l WHERE l.lane IS NOT NULL
),
-- Deliveries to a webhook that is disabled or paused are not due.
open_lanes AS (
    SELECT webhooks.id AS lane FROM delivery_lanes JOIN webhooks ON webhooks.id = delivery_lanes.lane
    WHERE webhooks.enabled AND coalesce(webhooks.paused_until <= @now::timestamptz, true)
)
SELECT 'sends'::text AS kind,
    (SELECT count(*) FROM (
        SELECT FROM send_lanes l CROSS JOIN LATERAL (
            SELECT FROM sends s WHERE s.organization_id = l.lane AND s.due_at <= @now ORDER BY s.due_at LIMIT @max_rows::integer
        ) AS found LIMIT @max_rows::integer
    ) AS counted)::bigint AS rows,
    coalesce((SELECT min(found.due_at) FROM send_lanes l CROSS JOIN LATERAL (
        SELECT s.due_at FROM sends s WHERE s.organization_id = l.lane AND s.due_at <= @now ORDER BY s.due_at LIMIT 1
    ) AS found), @now)::timestamptz AS oldest
UNION ALL
SELECT 'deliveries',
    (SELECT count(*) FROM (
        SELECT FROM open_lanes l CROSS JOIN LATERAL (
            SELECT FROM deliveries d WHERE d.webhook_id = l.lane AND d.due_at <= @now ORDER BY d.due_at LIMIT @max_rows::integer
        ) AS found LIMIT @max_rows::integer
    ) AS counted),
    coalesce((SELECT min(found.due_at) FROM open_lanes l CROSS JOIN LATERAL (
        SELECT d.due_at FROM deliveries d WHERE d.webhook_id = l.lane AND d.due_at <= @now ORDER BY d.due_at LIMIT 1
    ) AS found), @now)
UNION ALL
SELECT 'notifications',
    (SELECT count(*) FROM (SELECT FROM notifications n WHERE n.due_at <= @now ORDER BY n.due_at LIMIT @max_rows::integer) AS counted),
    coalesce((SELECT n.due_at FROM notifications n WHERE n.due_at <= @now ORDER BY n.due_at LIMIT 1), @now)
UNION ALL
-- An organization has at most 100 domains.
SELECT 'domain_checks',
    (SELECT count(*) FROM (SELECT FROM domain_checks c WHERE c.due_at <= @now LIMIT @max_rows::integer) AS counted),
    coalesce((SELECT min(c.due_at) FROM domain_checks c WHERE c.due_at <= @now), @now);
