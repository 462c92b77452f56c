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
-- what is known about the endpoint.
-- name: WebhookUpdate :one
UPDATE webhooks
SET url = coalesce(sqlc.narg('url'), url),
    events = coalesce(sqlc.narg('events')::text[], events),
    enabled = coalesce(sqlc.narg('enabled'), enabled),
    disabled_reason = CASE WHEN sqlc.narg('enabled')::boolean IS NULL THEN disabled_reason END,
    failing_since = CASE WHEN sqlc.narg('enabled')::boolean OR sqlc.narg('url')::text <> url THEN NULL ELSE failing_since END,
    paused_until = CASE WHEN sqlc.narg('enabled')::boolean OR sqlc.narg('url')::text <> url THEN NULL ELSE paused_until END,
    concurrency = CASE WHEN sqlc.narg('url')::text <> url THEN 1 ELSE concurrency END,
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

-- WebhookSucceeded ends a series of failures and stores what the answer says about the endpoint. The concurrency grows
-- only if it has not changed since the claim, so that answers which come together let it grow once. It writes nothing if
-- nothing changes.
-- name: WebhookSucceeded :exec
UPDATE webhooks
SET failing_since = NULL,
    quick = @quick,
    concurrency = CASE WHEN concurrency = @claimed_concurrency THEN @concurrency ELSE least(concurrency, @concurrency::integer) END
WHERE id = @id AND url = @url
  AND (failing_since IS NOT NULL OR quick <> @quick::boolean
    OR concurrency <> CASE WHEN concurrency = @claimed_concurrency::integer THEN @concurrency ELSE least(concurrency, @concurrency) END);

-- WebhookFailed records a failure, and disables a webhook whose endpoint is gone or that has had only failures for
-- too long. It returns whether this failure disabled it. If the organization changed the URL meanwhile, nothing is
-- recorded, because the failure is about the old one. A webhook that is disabled already keeps its reason.
-- name: WebhookFailed :one
WITH before AS (
    SELECT w.id, w.enabled FROM webhooks w WHERE w.id = @id FOR NO KEY UPDATE
)
UPDATE webhooks
SET failing_since = coalesce(webhooks.failing_since, @now::timestamptz),
    paused_until = greatest(webhooks.paused_until, sqlc.narg('paused_until')::timestamptz),
    concurrency = @concurrency,
    quick = @quick::boolean,
    enabled = webhooks.enabled AND NOT (@gone::boolean OR coalesce(webhooks.failing_since <= @hopeless_since::timestamptz, false)),
    disabled_reason = CASE
        WHEN NOT webhooks.enabled THEN webhooks.disabled_reason
        WHEN @gone THEN @gone_reason::text
        WHEN webhooks.failing_since <= @hopeless_since THEN @hopeless_reason::text
    END
FROM before
WHERE webhooks.id = before.id AND webhooks.url = @url
RETURNING (before.enabled AND NOT webhooks.enabled)::boolean AS disabled;

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
