-- name: DomainInsert :one
INSERT INTO domains (
    id, organization_id, name, mail_from_subdomain, ownership_token, status, status_reason, pending_since, created_at
)
VALUES (
    @id, @organization_id, @name, @mail_from_subdomain, @ownership_token, 'Pending', @status_reason, @now, @now
)
RETURNING *;

-- name: DomainGet :one
SELECT sqlc.embed(domains), identities.dkim_tokens, identities.mail_from_domain
FROM domains
LEFT JOIN identities ON identities.name = domains.name
WHERE domains.organization_id = @organization_id AND domains.id = @id;

-- name: DomainList :many
SELECT sqlc.embed(domains), identities.dkim_tokens, identities.mail_from_domain
FROM domains
LEFT JOIN identities ON identities.name = domains.name
WHERE domains.organization_id = @organization_id
ORDER BY domains.id DESC;

-- name: DomainExists :one
SELECT EXISTS (SELECT 1 FROM domains WHERE organization_id = @organization_id AND name = @name);

-- name: DomainCount :one
SELECT count(*) FROM domains WHERE organization_id = @organization_id;

-- name: DomainDelete :execrows
DELETE FROM domains WHERE organization_id = @organization_id AND id = @id;

-- DomainRecordCheck stores what a check found. checked_at is the fence: of two checks of a domain that overlap,
-- the one that began from an older state changes nothing.
-- name: DomainRecordCheck :execrows
UPDATE domains
SET status = @status,
    status_reason = @status_reason,
    owned_at = @owned_at,
    observations = @observations,
    pending_since = @pending_since,
    verified_at = @verified_at,
    failing_since = @failing_since,
    checked_at = @checked_at
WHERE organization_id = @organization_id
  AND id = @id
  AND checked_at IS NOT DISTINCT FROM sqlc.narg('previously_checked_at')::timestamptz;

-- DomainVerifiedAmong finds, of the given names, the verified domains of the given organizations.
-- name: DomainVerifiedAmong :many
SELECT id, organization_id, name FROM domains
WHERE organization_id = ANY (@organization_ids::uuid[])
  AND name = ANY (@names::text[])
  AND status = 'Verified';

-- DomainVerifiedElsewhere tells whether another organization has verified one of the names.
-- name: DomainVerifiedElsewhere :one
SELECT EXISTS (
    SELECT 1 FROM domains
    WHERE organization_id <> @organization_id AND name = ANY (@names::text[]) AND status = 'Verified'
);

-- name: DomainCheckUpsert :exec
INSERT INTO domain_checks (domain_id, organization_id, due_at)
VALUES (@domain_id, @organization_id, @due_at)
ON CONFLICT (domain_id) DO UPDATE SET due_at = excluded.due_at, leased_until = NULL;

-- DomainCheckClaim leases due checks, in turn over the organizations.
-- name: DomainCheckClaim :many
WITH RECURSIVE lanes AS (
    (SELECT c.organization_id AS lane FROM domain_checks c ORDER BY c.organization_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT c.organization_id FROM domain_checks c
        WHERE c.organization_id > lanes.lane ORDER BY c.organization_id LIMIT 1
    )
    FROM lanes
    WHERE lanes.lane IS NOT NULL
),
candidates AS MATERIALIZED (
    SELECT lanes.lane, due.domain_id, due.due_at
    FROM lanes
    CROSS JOIN LATERAL (
        SELECT c.domain_id, c.due_at FROM domain_checks c
        WHERE c.organization_id = lanes.lane AND c.due_at <= @now::timestamptz
        ORDER BY c.due_at
        LIMIT @per_lane
        FOR UPDATE SKIP LOCKED
    ) AS due
),
taken AS (
    SELECT ranked.domain_id
    FROM (
        SELECT domain_id, due_at, row_number() OVER (PARTITION BY lane ORDER BY due_at) AS turn FROM candidates
    ) AS ranked
    ORDER BY ranked.turn, ranked.due_at
    LIMIT @total
)
UPDATE domain_checks
SET attempt = domain_checks.attempt + 1,
    due_at = @leased_until::timestamptz,
    leased_until = @leased_until::timestamptz
FROM taken
WHERE domain_checks.domain_id = taken.domain_id
RETURNING domain_checks.domain_id, domain_checks.organization_id, domain_checks.attempt;

-- name: DomainCheckSettle :execrows
UPDATE domain_checks SET due_at = @due_at, leased_until = NULL
WHERE domain_id = @domain_id AND attempt = @attempt;

-- name: IdentityGet :one
SELECT * FROM identities WHERE name = @name;

-- IdentityUpsert keeps what is known to be ours ours: an identity that we created is still ours when it is read
-- again.
-- name: IdentityUpsert :exec
INSERT INTO identities (name, managed, dkim_tokens, mail_from_domain, created_at)
VALUES (@name, @managed, @dkim_tokens, @mail_from_domain, @created_at)
ON CONFLICT (name) DO UPDATE
SET managed = identities.managed OR excluded.managed,
    dkim_tokens = excluded.dkim_tokens,
    mail_from_domain = coalesce(identities.mail_from_domain, excluded.mail_from_domain);

-- IdentityClaimMailFrom sets the MAIL FROM unless one is in force, and answers with the one that then is.
-- name: IdentityClaimMailFrom :one
UPDATE identities SET mail_from_domain = coalesce(mail_from_domain, @mail_from_domain::text)
WHERE name = @name
RETURNING mail_from_domain;

-- IdentityUnused lists the identities of ours that are to be deleted: those that no domain uses, and those below
-- another organization's verified domain that nobody has proven, which would take that domain's mail from it.
-- name: IdentityUnused :many
SELECT identities.name FROM identities
WHERE identities.managed
  AND identities.created_at < @created_before::timestamptz
  AND (
    NOT EXISTS (SELECT 1 FROM domains WHERE domains.name = identities.name)
    OR (
        NOT EXISTS (SELECT 1 FROM domains WHERE domains.name = identities.name AND domains.owned_at IS NOT NULL)
        AND EXISTS (
            SELECT 1 FROM domains
            WHERE domains.status = 'Verified' AND right(identities.name, length(domains.name) + 1) = '.' || domains.name
        )
    )
  )
ORDER BY identities.name
LIMIT @total;

-- IdentityDelete looks again for users of the name, in the statement that forgets it.
-- name: IdentityDelete :execrows
DELETE FROM identities
WHERE identities.name = @name
  AND NOT EXISTS (SELECT 1 FROM domains WHERE domains.name = identities.name AND domains.owned_at IS NOT NULL);
