-- UsageOpen inserts the rows of a period, with the price and allowance that hold for all of it. All transactions
-- insert them in the same order.
-- name: UsageOpen :exec
INSERT INTO usage_periods (organization_id, period_key, free_monthly_allowance, price_per_1k_cents)
SELECT id, @period_key, free_monthly_allowance, price_per_1k_cents FROM organizations
WHERE id = ANY (@organization_ids::uuid[])
ORDER BY id
ON CONFLICT (organization_id, period_key) DO NOTHING;

-- UsageLock locks the counters until the transaction ends, so that a reservation never exceeds what is left. It
-- locks in the order of the ids, so that transactions of several organizations never deadlock.
-- name: UsageLock :many
SELECT
    usage_periods.organization_id,
    usage_periods.emails_sent,
    usage_periods.day,
    usage_periods.day_emails,
    usage_periods.free_monthly_allowance,
    usage_periods.price_per_1k_cents,
    organizations.has_payment_method,
    organizations.monthly_spend_cap_cents
FROM usage_periods
JOIN organizations ON organizations.id = usage_periods.organization_id
WHERE usage_periods.organization_id = ANY (@organization_ids::uuid[]) AND usage_periods.period_key = @period_key
ORDER BY usage_periods.organization_id
FOR UPDATE OF usage_periods;

-- UsageAdd counts emails of a day. The clocks of processes need not agree at midnight: a later day that has begun stays.
-- name: UsageAdd :exec
UPDATE usage_periods
SET emails_sent = emails_sent + added.emails,
    day_emails = added.emails + CASE WHEN usage_periods.day >= @day THEN usage_periods.day_emails ELSE 0 END,
    day = greatest(usage_periods.day, @day)
FROM (SELECT unnest(@organization_ids::uuid[]) AS organization_id, unnest(@emails::bigint[]) AS emails) AS added
WHERE usage_periods.organization_id = added.organization_id AND usage_periods.period_key = @period_key;

-- UsageClose deletes the rows of organizations that opened their period and then had nothing accepted in it.
-- Otherwise their price and allowance would be fixed.
-- name: UsageClose :exec
DELETE FROM usage_periods
WHERE organization_id = ANY (@organization_ids::uuid[]) AND period_key = @period_key AND emails_sent = 0;

-- UsageGet reads the period, or the values that it would begin with if nothing was accepted in it yet.
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

-- UsageBoundWait bounds how long the statements that follow in the transaction wait for a lock. A usage row that takes
-- longer costs its own organization's requests, and no other's.
-- name: UsageBoundWait :exec
SELECT set_config('lock_timeout', @wait::text, true);

-- UsageLocked returns the organizations whose counters are locked by another transaction. One that has none in the period
-- yet is not among them.
-- name: UsageLocked :many
WITH lockable AS (
    SELECT usage_periods.organization_id FROM usage_periods
    WHERE usage_periods.organization_id = ANY (@organization_ids::uuid[]) AND usage_periods.period_key = @period_key
    FOR UPDATE SKIP LOCKED
)
SELECT usage_periods.organization_id FROM usage_periods
WHERE usage_periods.organization_id = ANY (@organization_ids::uuid[]) AND usage_periods.period_key = @period_key
    AND usage_periods.organization_id NOT IN (SELECT lockable.organization_id FROM lockable);
