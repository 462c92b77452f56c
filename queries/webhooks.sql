-- name: WebhookInsert :one
INSERT INTO webhooks (id, organization_id, url, events, enabled, sealed_secret, created_at, updated_at)
VALUES (@id, @organization_id, @url, @events, true, @sealed_secret, @now, @now)
RETURNING *;

-- name: WebhookCount :one
SELECT count(*) FROM webhooks WHERE organization_id = @organization_id;

-- name: WebhookGet :one
SELECT * FROM webhooks WHERE organization_id = @organization_id AND id = @id;

-- WebhookList reads a page as EmailList does.
-- name: WebhookList :many
SELECT webhooks.* FROM (
    SELECT * FROM webhooks
    WHERE (organization_id, id) >= (@organization_id::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
      AND (organization_id, id) <= (@organization_id::uuid, @before_id::uuid)
      AND id <> @before_id
    ORDER BY organization_id DESC, id DESC
    LIMIT 101
) AS webhooks
ORDER BY webhooks.id DESC
LIMIT @max_rows;

-- WebhookUpdate changes the given fields. A new URL, or enabling the webhook, resets its failures; a new URL also resets
-- what is known about the endpoint, its concurrency to the default of the column.
-- name: WebhookUpdate :one
UPDATE webhooks
SET url = coalesce(sqlc.narg('url'), url),
    events = coalesce(sqlc.narg('events')::text[], events),
    enabled = coalesce(sqlc.narg('enabled'), enabled),
    disabled_reason = CASE WHEN sqlc.narg('enabled')::boolean IS NULL THEN disabled_reason END,
    failing_since = CASE WHEN sqlc.narg('enabled')::boolean OR sqlc.narg('url')::text <> url THEN NULL ELSE failing_since END,
    paused_until = CASE WHEN sqlc.narg('enabled')::boolean OR sqlc.narg('url')::text <> url THEN NULL ELSE paused_until END,
    concurrency = CASE WHEN sqlc.narg('url')::text <> url THEN 8 ELSE concurrency END,
    quick = quick AND coalesce(sqlc.narg('url')::text = url, true),
    updated_at = @now
WHERE organization_id = @organization_id AND id = @id
RETURNING *;

-- WebhookRotate replaces the secret, and keeps the present one as the previous one.
-- name: WebhookRotate :one
UPDATE webhooks
SET previous_sealed_secret = sealed_secret,
    previous_secret_expires_at = @previous_expires_at::timestamptz,
    sealed_secret = @sealed_secret,
    updated_at = @now
WHERE organization_id = @organization_id AND id = @id
RETURNING *;

-- name: WebhookDelete :execrows
DELETE FROM webhooks WHERE organization_id = @organization_id AND id = @id;

-- WebhookSettle stores what the results of attempts say about webhooks, each webhook once, and returns which it disabled. It
-- writes nothing where nothing changes. What is about another URL than the present one is left out.
--
-- A success ends a series of failures; is_failing means that the last result was a failure. A webhook is disabled if its
-- endpoint is gone, or had only failures for too long; one that is disabled already keeps its reason. The concurrency grows
-- to grown only if it has not changed since the claim (it is grows_from), so that results which come together let it grow
-- once; then it is at_most as high as the worst of them allows.
-- name: WebhookSettle :many
WITH given AS MATERIALIZED (
    SELECT
        unnest(@ids::uuid[]) AS id,
        unnest(@urls::text[]) AS url,
        unnest(@succeeded::boolean[]) AS succeeded,
        unnest(@failed::boolean[]) AS failed,
        unnest(@is_failing::boolean[]) AS is_failing,
        unnest(@gone::boolean[]) AS gone,
        unnest(@quick::boolean[]) AS quick,
        unnest(@grows_from::integer[]) AS grows_from,
        unnest(@grown::integer[]) AS grown,
        unnest(@at_most::integer[]) AS at_most,
        unnest(@paused_until::timestamptz[]) AS paused_until
),
changed AS MATERIALIZED (
    SELECT w.id, w.enabled AS was_enabled
    FROM webhooks w
    JOIN given ON given.id = w.id AND given.url = w.url
    WHERE given.failed OR w.failing_since IS NOT NULL OR w.quick <> given.quick
      OR w.concurrency = given.grows_from OR w.concurrency > given.at_most
    ORDER BY w.id
    FOR NO KEY UPDATE OF w
),
settled AS (
    UPDATE webhooks
    SET failing_since = CASE
            WHEN NOT given.is_failing THEN NULL
            WHEN given.succeeded THEN @now::timestamptz
            ELSE coalesce(webhooks.failing_since, @now)
        END,
        paused_until = CASE WHEN given.paused_until > @now THEN greatest(webhooks.paused_until, given.paused_until) ELSE webhooks.paused_until END,
        quick = given.quick,
        concurrency = least(CASE WHEN webhooks.concurrency = given.grows_from THEN given.grown ELSE webhooks.concurrency END, given.at_most),
        enabled = webhooks.enabled AND NOT (given.gone OR coalesce(
            given.failed AND NOT given.succeeded AND webhooks.failing_since <= @hopeless_since::timestamptz, false
        )),
        disabled_reason = CASE
            WHEN NOT webhooks.enabled THEN webhooks.disabled_reason
            WHEN given.gone THEN @gone_reason::text
            WHEN given.failed AND NOT given.succeeded AND webhooks.failing_since <= @hopeless_since THEN @hopeless_reason::text
        END
    FROM given JOIN changed ON changed.id = given.id
    WHERE webhooks.id = given.id AND webhooks.url = given.url
    RETURNING webhooks.id, changed.was_enabled AND NOT webhooks.enabled AS disabled
)
SELECT settled.id FROM settled WHERE settled.disabled;

-- WebhookSealedList locks the webhooks that follow an id, of all organizations, for sealing their keys anew.
-- name: WebhookSealedList :many
SELECT id, organization_id, sealed_secret, previous_sealed_secret FROM webhooks
WHERE id > @after
ORDER BY id
LIMIT @max_rows
FOR NO KEY UPDATE;

-- name: WebhookReseal :exec
UPDATE webhooks
SET sealed_secret = @sealed_secret, previous_sealed_secret = sqlc.narg(previous_sealed_secret)
WHERE organization_id = @organization_id AND id = @id;
