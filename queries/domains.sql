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

-- name: DomainDelete :one
DELETE FROM domains WHERE organization_id = @organization_id AND id = @id RETURNING name;

-- DomainListByName finds the domains of all organizations with these names. It is only for the DNS server of
-- development: an organization must never see data of another's row.
-- name: DomainListByName :many
SELECT sqlc.embed(domains), identities.dkim_tokens, identities.mail_from_domain
FROM domains
LEFT JOIN identities ON identities.name = domains.name
WHERE domains.name = ANY (@names::text[])
ORDER BY domains.id;

-- DomainRecordCheck stores the result of a check. checked_at is the fence: of two overlapping checks of a domain,
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
    checked_at = @checked_at,
    parked_at = CASE WHEN @ready::boolean AND parked_at <= @parked_before::timestamptz THEN NULL ELSE parked_at END
WHERE organization_id = @organization_id
  AND id = @id
  AND checked_at IS NOT DISTINCT FROM sqlc.narg('previously_checked_at')::timestamptz;

-- DomainRefuse counts that SES refused to send for a domain, and parks the domain after max_refusals of which none came
-- more than the time since after the one before. It returns how many there were by then.
-- name: DomainRefuse :one
UPDATE domains
SET refusals = CASE WHEN refused_at > @since::timestamptz THEN refusals + 1 ELSE 1 END,
    refused_at = @now::timestamptz,
    parked_at = CASE
        WHEN refused_at > @since::timestamptz AND refusals + 1 >= @max_refusals::integer THEN coalesce(parked_at, @now::timestamptz)
        ELSE parked_at
    END
WHERE organization_id = @organization_id AND id = @id
RETURNING refusals;

-- DomainVerifiedAny returns the domain that was verified first, of any organization. It is for the operator who
-- tests whether mail goes out.
-- name: DomainVerifiedAny :one
SELECT name FROM domains WHERE status = 'Verified' ORDER BY verified_at, id LIMIT 1;

-- DomainVerifiedElsewhere reports whether another organization has verified one of the names.
-- name: DomainVerifiedElsewhere :one
SELECT EXISTS (
    SELECT 1 FROM domains
    WHERE organization_id <> @organization_id AND name = ANY (@names::text[]) AND status = 'Verified'
);

-- name: DomainCheckUpsert :exec
INSERT INTO domain_checks (domain_id, organization_id, due_at)
VALUES (@domain_id, @organization_id, @due_at)
ON CONFLICT (domain_id) DO UPDATE SET due_at = excluded.due_at, leased_until = NULL;

-- DomainCheckClaim leases due checks, in turn over the organizations that have any, as SendClaim does.
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
active AS MATERIALIZED (
    SELECT lanes.lane FROM lanes
    WHERE EXISTS (SELECT 1 FROM domain_checks c WHERE c.organization_id = lanes.lane AND c.due_at <= @now::timestamptz)
    ORDER BY uuid_hash_extended(lanes.lane, @seed::bigint)
    LIMIT @max_rows
),
candidates AS MATERIALIZED (
    SELECT active.lane, due.domain_id, due.due_at
    FROM active
    CROSS JOIN LATERAL (
        SELECT c.domain_id, c.due_at FROM domain_checks c
        WHERE c.organization_id = active.lane AND c.due_at <= @now::timestamptz
        ORDER BY c.due_at
        LIMIT least(@per_lane::integer, (SELECT ceil(CAST(@max_rows AS integer)::numeric / nullif(count(*), 0)) FROM active))
        FOR UPDATE SKIP LOCKED
    ) AS due
),
taken AS (
    SELECT ranked.domain_id
    FROM (
        SELECT domain_id, lane, row_number() OVER (PARTITION BY lane ORDER BY due_at, domain_id) AS turn
        FROM candidates
    ) AS ranked
    ORDER BY ranked.turn, uuid_hash_extended(ranked.lane, @seed::bigint)
    LIMIT @max_rows
)
UPDATE domain_checks
SET attempt = domain_checks.attempt + 1,
    due_at = @leased_until::timestamptz,
    leased_until = @leased_until::timestamptz,
    worker_id = sqlc.narg(worker_id)::uuid
FROM taken
WHERE domain_checks.domain_id = taken.domain_id
RETURNING domain_checks.domain_id, domain_checks.organization_id, domain_checks.attempt;

-- DomainCheckSettle sets the time of the next check, unless the lease is no longer ours because another worker took
-- over or a check was requested meanwhile. A failed check keeps its count of attempts.
-- name: DomainCheckSettle :execrows
UPDATE domain_checks
SET due_at = @due_at,
    leased_until = NULL,
    attempt = CASE WHEN @failed::boolean THEN attempt ELSE 0 END
WHERE domain_id = @domain_id AND leased_until = @leased_until::timestamptz;

-- IdentityTouch marks an identity as used now, so that it is not deleted in the next while. An identity that is
-- being deleted stays unchanged.
-- name: IdentityTouch :one
UPDATE identities
SET used_at = CASE WHEN cardinality(dkim_tokens) = 0 THEN used_at ELSE greatest(used_at, @now::timestamptz) END
WHERE name = @name
RETURNING *;

-- IdentityUpsert stores an identity. One that we created stays ours when it is read again, and our MAIL FROM for it
-- stands.
-- name: IdentityUpsert :one
INSERT INTO identities (name, managed, dkim_tokens, mail_from_domain, used_at)
VALUES (@name, @managed, @dkim_tokens, @mail_from_domain, @used_at)
ON CONFLICT (name) DO UPDATE
SET managed = identities.managed OR excluded.managed,
    dkim_tokens = excluded.dkim_tokens,
    mail_from_domain = CASE
        WHEN identities.managed THEN identities.mail_from_domain
        ELSE coalesce(identities.mail_from_domain, excluded.mail_from_domain)
    END,
    used_at = greatest(identities.used_at, excluded.used_at)
RETURNING *;

-- IdentityClaimMailFrom sets the MAIL FROM unless one is in force, and returns the one in force.
-- name: IdentityClaimMailFrom :one
UPDATE identities SET mail_from_domain = coalesce(mail_from_domain, @mail_from_domain::text)
WHERE name = @name
RETURNING *;

-- IdentityReleaseMailFrom clears the MAIL FROM when no organization is left that has proven the name, so that the
-- next one to prove it can choose.
-- name: IdentityReleaseMailFrom :exec
UPDATE identities SET mail_from_domain = NULL
WHERE identities.name = @name
  AND identities.managed
  AND NOT EXISTS (SELECT 1 FROM domains WHERE domains.name = identities.name AND domains.owned_at IS NOT NULL);

-- name: IdentityCount :one
SELECT count(*) FROM identities;

-- IdentityClaimUnused marks identities of ours for deletion, the least recently used first: those whose deletion
-- was begun and not finished; those that no domain uses, apart from domains that failed before failed_before; and those
-- used only by unproven registrations below another organization's verified domain, from which they would take that
-- domain's mail. A failed domain is checked only on request, so that its last check is the one that failed. While marked, an identity
-- has no DKIM tokens and no registration builds on it. used_at identifies the claim.
-- name: IdentityClaimUnused :many
WITH unused AS MATERIALIZED (
    SELECT identities.name, identities.dkim_tokens FROM identities
    WHERE identities.managed
      AND identities.used_at < @unused_since::timestamptz
      AND (
        cardinality(identities.dkim_tokens) = 0
        OR NOT EXISTS (
            SELECT 1 FROM domains AS used
            WHERE used.name = identities.name
              AND NOT (used.status = 'Failed' AND used.checked_at < @failed_before::timestamptz)
              AND (
                used.owned_at IS NOT NULL
                OR NOT EXISTS (
                    SELECT 1
                    FROM generate_series(2, cardinality(string_to_array(used.name, '.')) - 1) AS label
                    JOIN domains AS parent
                        ON parent.name = array_to_string((string_to_array(used.name, '.'))[label:], '.')
                    WHERE parent.status = 'Verified' AND parent.organization_id <> used.organization_id
                )
              )
        )
      )
    ORDER BY identities.used_at, identities.name
    LIMIT @max_rows
    FOR UPDATE SKIP LOCKED
)
UPDATE identities SET dkim_tokens = '{}', used_at = @now
FROM unused
WHERE identities.name = unused.name
RETURNING identities.name, unused.dkim_tokens;

-- IdentityRestore takes back a failed deletion, unless another process has claimed the identity since.
-- name: IdentityRestore :exec
UPDATE identities SET dkim_tokens = @dkim_tokens
WHERE name = @name AND cardinality(dkim_tokens) = 0 AND used_at = @claimed_at;

-- IdentityDelete finishes the deletion that was begun at claimed_at.
-- name: IdentityDelete :exec
DELETE FROM identities WHERE name = @name AND cardinality(dkim_tokens) = 0 AND used_at = @claimed_at;
