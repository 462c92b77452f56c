-- name: APIKeyInsert :one
INSERT INTO api_keys (id, organization_id, name, prefix, secret_hash, scopes, expires_at, created_at)
VALUES (@id, @organization_id, @name, @prefix, @secret_hash, @scopes, @expires_at, @created_at)
RETURNING *;

-- APIKeyGetByPrefix is the only lookup without an organization: it finds the organization.
-- name: APIKeyGetByPrefix :one
SELECT sqlc.embed(api_keys), organizations.suspended_at AS organization_suspended_at
FROM api_keys
JOIN organizations ON organizations.id = api_keys.organization_id
WHERE api_keys.prefix = @prefix;

-- APIKeyList reads all unrevoked keys, and the latest of those revoked after a time, newest first.
-- name: APIKeyList :many
SELECT * FROM api_keys
WHERE api_keys.organization_id = @organization_id
  AND (api_keys.revoked_at IS NULL OR api_keys.id = ANY (ARRAY(
      SELECT revoked.id FROM api_keys AS revoked
      WHERE revoked.organization_id = @organization_id AND revoked.revoked_at > @revoked_after::timestamptz
      ORDER BY revoked.revoked_at DESC
      LIMIT @max_revoked)))
ORDER BY api_keys.id DESC;

-- name: APIKeyGet :one
SELECT * FROM api_keys WHERE organization_id = @organization_id AND id = @id;

-- name: APIKeyCountUnrevoked :one
SELECT count(*) FROM api_keys WHERE organization_id = @organization_id AND revoked_at IS NULL;

-- APIKeyRevoke keeps the first revocation time: revoking again changes nothing.
-- name: APIKeyRevoke :execrows
UPDATE api_keys SET revoked_at = coalesce(revoked_at, @now::timestamptz)
WHERE organization_id = @organization_id AND id = @id;

-- APIKeyTouch records when keys were last used, for many keys in one statement.
-- name: APIKeyTouch :exec
UPDATE api_keys SET last_used_at = greatest(last_used_at, used.at)
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@used_at::timestamptz[]) AS at) AS used
WHERE api_keys.id = used.id;
