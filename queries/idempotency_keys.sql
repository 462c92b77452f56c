-- The lookups and the lock are separate statements: only a statement that begins after the lock was taken sees what
-- was committed meanwhile.

-- IdempotencyKeyList reads the saved responses of keys.
-- name: IdempotencyKeyList :many
SELECT key_hash, fingerprint, status, location, body, sealed FROM idempotency_keys
WHERE organization_id = ANY (@organization_ids::uuid[])
  AND key_hash = ANY (@key_hashes::bytea[])
  AND created_at > @since::timestamptz;

-- IdempotencyKeyClaim takes the free ones of the wanted locks until the end of the transaction. It never waits.
-- name: IdempotencyKeyClaim :many
SELECT wanted.lock::bigint AS lock, pg_try_advisory_xact_lock(wanted.lock) AS obtained
FROM unnest(@locks::bigint[]) AS wanted (lock);

-- IdempotencyKeyUpsert saves responses. It overwrites a key that exists, because that one has expired.
-- name: IdempotencyKeyUpsert :exec
INSERT INTO idempotency_keys (organization_id, key_hash, fingerprint, status, location, body, sealed, created_at)
SELECT
    unnest(@organization_ids::uuid[]),
    unnest(@key_hashes::bytea[]),
    unnest(@fingerprints::bytea[]),
    unnest(@statuses::smallint[]),
    unnest(@locations::text[]),
    unnest(@bodies::bytea[]),
    unnest(@sealed::boolean[]),
    @now::timestamptz
ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE
SET fingerprint = excluded.fingerprint,
    status = excluded.status,
    location = excluded.location,
    body = excluded.body,
    sealed = excluded.sealed,
    created_at = excluded.created_at;

-- IdempotencyKeyDeleteExpired deletes some of the keys that are older than the retention.
-- name: IdempotencyKeyDeleteExpired :execrows
DELETE FROM idempotency_keys
WHERE (organization_id, key_hash) IN (
    SELECT k.organization_id, k.key_hash FROM idempotency_keys k
    WHERE k.created_at <= @before::timestamptz
    ORDER BY k.created_at
    LIMIT @max_rows
    FOR UPDATE SKIP LOCKED
);

-- IdempotencyKeySealedList locks the keys that follow one, of all organizations, for sealing their responses anew. The
-- body is the sealed response, NULL where the response is not sealed.
-- name: IdempotencyKeySealedList :many
SELECT organization_id, key_hash, (CASE WHEN sealed THEN body END)::bytea AS body FROM idempotency_keys
WHERE (organization_id, key_hash) > (@after_organization_id::uuid, @after_key_hash::bytea)
ORDER BY organization_id, key_hash
LIMIT @max_rows
FOR NO KEY UPDATE;

-- name: IdempotencyKeyReseal :exec
UPDATE idempotency_keys SET body = @body
WHERE organization_id = @organization_id AND key_hash = @key_hash;
