-- SuppressionInsert suppresses addresses that bounced or complained, but for events (fact_keys) that are stored already: a
-- user may have removed the address since. An address that is suppressed already keeps its reason, and of several events
-- the first suppresses. All transactions insert in the same order, so that they never deadlock. An empty detail means none.
-- name: SuppressionInsert :execrows
INSERT INTO suppressions (id, organization_id, address_key, reason, detail, email_id, created_at)
SELECT given.id, given.organization_id, given.address_key, given.reason, nullif(given.detail, ''), given.email_id, given.created_at
FROM (
    SELECT
        unnest(@ids::uuid[]) AS id,
        unnest(@organization_ids::uuid[]) AS organization_id,
        unnest(@address_keys::text[]) AS address_key,
        unnest(@reasons::text[]) AS reason,
        unnest(@details::text[]) AS detail,
        unnest(@email_ids::uuid[]) AS email_id,
        unnest(@created_at::timestamptz[]) AS created_at,
        unnest(@fact_keys::text[]) AS fact_key,
        generate_subscripts(@ids::uuid[], 1) AS place
) AS given
LEFT JOIN LATERAL (
    SELECT true AS known FROM events
    WHERE events.email_id = given.email_id AND events.organization_id = given.organization_id AND events.fact_key = given.fact_key
    LIMIT 1
) AS stored ON true
WHERE stored.known IS NULL
ORDER BY given.organization_id, given.address_key, given.place
ON CONFLICT (organization_id, address_key) DO NOTHING;

-- SuppressionAdd suppresses addresses by hand, in the order of SuppressionInsert, and returns them all. The update
-- changes nothing: it locks and returns the rows that exist already, so that none can be deleted in between.
-- name: SuppressionAdd :many
INSERT INTO suppressions (id, organization_id, address_key, reason, created_at)
SELECT given.id, @organization_id, given.address_key, 'Manual', @now
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@address_keys::text[]) AS address_key) AS given
ORDER BY given.address_key
ON CONFLICT (organization_id, address_key) DO UPDATE SET address_key = excluded.address_key
RETURNING *;

-- name: SuppressionGet :one
SELECT * FROM suppressions WHERE organization_id = @organization_id AND address_key = @address_key;

-- SuppressionSentTo returns the spellings in which a message was sent to an address.
-- name: SuppressionSentTo :many
SELECT DISTINCT address FROM recipients
WHERE organization_id = @organization_id AND email_id = @email_id AND address_key = @address_key;

-- name: SuppressionDelete :execrows
DELETE FROM suppressions WHERE organization_id = @organization_id AND address_key = @address_key;

-- SuppressionList and the queries like it read a page, newest first, of the ids below before_id, as EmailList does.
-- name: SuppressionList :many
SELECT suppressions.* FROM (
    SELECT * FROM suppressions
    WHERE organization_id = @organization_id AND id < @before_id
    ORDER BY id DESC
    LIMIT 101
) AS suppressions
ORDER BY suppressions.id DESC
LIMIT @max_rows;

-- name: SuppressionListByReason :many
SELECT suppressions.* FROM (
    SELECT * FROM suppressions
    WHERE organization_id = @organization_id
      AND (reason, id) >= (@reason::text, '00000000-0000-0000-0000-000000000000'::uuid)
      AND (reason, id) <= (@reason::text, @before_id::uuid)
      AND id <> @before_id
    ORDER BY reason DESC, id DESC
    LIMIT 101
) AS suppressions
ORDER BY suppressions.id DESC
LIMIT @max_rows;

-- SuppressionListByAddress finds at most one.
-- name: SuppressionListByAddress :many
SELECT * FROM suppressions
WHERE organization_id = @organization_id
  AND address_key = @address_key
  AND reason = coalesce(sqlc.narg('reason')::text, reason)
  AND id < @before_id;
