-- AcceptancePreconditions reads, in one round trip, what decides whether messages are accepted. The column kind
-- distinguishes the rows: 'key', a usable key, and whether its organization is suspended; 'domain', a verified
-- domain among the names; both tell whether sending is paused, the former also the limits of its
-- organization, and until when it had no warning (good_until); 'suppression', an address key that its organization suppresses; 'period', an organization
-- whose billing period is open.
-- name: AcceptancePreconditions :many
SELECT 'key'::text AS kind, api_keys.organization_id, api_keys.id, ''::text AS name,
    (organizations.suspended_at IS NOT NULL)::boolean AS organization_suspended,
    (coalesce(organizations.sending_paused_at, organizations.tenant_disabled_at) IS NOT NULL)::boolean AS sending_paused,
    organizations.daily_limit, organizations.per_second_limit, organizations.created_at AS organization_created_at,
    coalesce(
        (SELECT min(reputations.warned_at) FROM reputations WHERE reputations.organization_id = organizations.id), @now
    )::timestamptz AS good_until
FROM api_keys
JOIN organizations ON organizations.id = api_keys.organization_id
WHERE api_keys.id = ANY (@api_key_ids::uuid[])
  AND api_keys.organization_id = ANY (@organization_ids::uuid[])
  AND api_keys.revoked_at IS NULL
  AND (api_keys.expires_at IS NULL OR api_keys.expires_at > @now::timestamptz)
UNION ALL
SELECT 'domain', domains.organization_id, domains.id, domains.name, false, reputations.paused_at IS NOT NULL,
    NULL, NULL, @now, @now
FROM domains
LEFT JOIN reputations ON reputations.organization_id = domains.organization_id AND reputations.domain = domains.name
WHERE domains.organization_id = ANY (@organization_ids::uuid[])
  AND domains.name = ANY (@domain_names::text[])
  AND domains.status = 'Verified'
UNION ALL
SELECT 'suppression', suppressions.organization_id, suppressions.organization_id, suppressions.address_key, false, false,
    NULL, NULL, @now, @now
FROM suppressions
WHERE suppressions.organization_id = ANY (@organization_ids::uuid[])
  AND suppressions.address_key = ANY (@address_keys::text[])
UNION ALL
SELECT 'period', usage_periods.organization_id, usage_periods.organization_id, '', false, false,
    NULL, NULL, @now, @now
FROM usage_periods
WHERE usage_periods.organization_id = ANY (@organization_ids::uuid[])
  AND usage_periods.period_key = @period_key;
