-- UsageOpen makes the row of a period, with the price and allowance that hold for all of it.
-- name: UsageOpen :exec
INSERT INTO usage_periods (organization_id, period_key, free_monthly_allowance, price_per_1k_cents)
SELECT id, @period_key, free_monthly_allowance, price_per_1k_cents FROM organizations WHERE id = @organization_id
ON CONFLICT (organization_id, period_key) DO NOTHING;

-- UsageLock holds the counter until the transaction ends, so that what is reserved was there to be reserved.
-- name: UsageLock :one
SELECT
    usage_periods.emails_sent,
    usage_periods.free_monthly_allowance,
    usage_periods.price_per_1k_cents,
    organizations.has_payment_method,
    organizations.monthly_spend_cap_cents
FROM usage_periods
JOIN organizations ON organizations.id = usage_periods.organization_id
WHERE usage_periods.organization_id = @organization_id AND usage_periods.period_key = @period_key
FOR UPDATE OF usage_periods;

-- name: UsageAdd :exec
UPDATE usage_periods SET emails_sent = emails_sent + @emails
WHERE organization_id = @organization_id AND period_key = @period_key;

-- UsageGet reads the period, or what it would begin with where nothing was accepted in it yet.
-- name: UsageGet :one
SELECT
    coalesce(usage_periods.emails_sent, 0)::bigint AS emails_sent,
    coalesce(usage_periods.free_monthly_allowance, organizations.free_monthly_allowance)::bigint AS free_monthly_allowance,
    coalesce(usage_periods.price_per_1k_cents, organizations.price_per_1k_cents)::bigint AS price_per_1k_cents,
    organizations.has_payment_method,
    organizations.monthly_spend_cap_cents
FROM organizations
LEFT JOIN usage_periods ON usage_periods.organization_id = organizations.id AND usage_periods.period_key = @period_key
WHERE organizations.id = @organization_id;
