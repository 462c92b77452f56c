-- name: TenancyOn :exec
INSERT INTO ses_tenancy (switched_at) VALUES (@now::timestamptz) ON CONFLICT (one) DO NOTHING;

-- name: TenancyOff :exec
DELETE FROM ses_tenancy;

-- name: TenancyIsOn :one
SELECT EXISTS (SELECT FROM ses_tenancy);

-- TenantListMissing returns the organizations with verified domains that are not associated with their tenant, or whose
-- tenant has another configuration set, with the names of these domains.
-- name: TenantListMissing :many
SELECT domains.organization_id, coalesce(ses_tenants.configuration_set, '')::text AS configuration_set,
    (array_agg(domains.name ORDER BY domains.name) FILTER (WHERE ses_tenants.identities IS NULL OR domains.name <> ALL (ses_tenants.identities)))::text[] AS names
FROM domains
LEFT JOIN ses_tenants ON ses_tenants.organization_id = domains.organization_id
WHERE domains.status = 'Verified'
  AND (ses_tenants.organization_id IS NULL
      OR ses_tenants.configuration_set <> @configuration_set
      OR domains.name <> ALL (ses_tenants.identities))
GROUP BY domains.organization_id, ses_tenants.configuration_set
ORDER BY domains.organization_id
LIMIT @max_rows;

-- name: TenantSave :exec
INSERT INTO ses_tenants (organization_id, arn, configuration_set, identities)
VALUES (@organization_id, @arn, @configuration_set, coalesce(@identities::text[], '{}'))
ON CONFLICT (organization_id) DO UPDATE SET
    arn = excluded.arn, configuration_set = excluded.configuration_set,
    identities = ARRAY (SELECT DISTINCT unnest(ses_tenants.identities || excluded.identities));

-- TenantForget makes the associations of an organization's tenant be made again. Until then its mail names no tenant.
-- name: TenantForget :exec
UPDATE ses_tenants SET identities = '{}', configuration_set = '' WHERE organization_id = @organization_id;

-- TenantSetDisabled stores which organizations SES does not let send: their mail waits. It returns those that changed.
-- name: TenantSetDisabled :many
UPDATE organizations
SET tenant_disabled_at = CASE WHEN organizations.id = ANY (@disabled::uuid[]) THEN @now::timestamptz END
WHERE (organizations.tenant_disabled_at IS NOT NULL) <> (organizations.id = ANY (@disabled::uuid[]))
RETURNING organizations.id;

-- name: TenantCount :one
SELECT (SELECT count(*) FROM ses_tenants)::bigint AS tenants,
    (SELECT count(*) FROM organizations WHERE tenant_disabled_at IS NOT NULL)::bigint AS disabled;
