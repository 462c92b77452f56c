-- name: OrganizationInsert :exec
INSERT INTO organizations (id, name, free_monthly_allowance, price_per_1k_cents, created_at)
VALUES (@id, @name, @free_monthly_allowance, @price_per_1k_cents, @created_at);

-- name: OrganizationGet :one
SELECT * FROM organizations WHERE id = @id;

-- name: OrganizationGetByName :one
SELECT * FROM organizations WHERE name = @name;

-- name: OrganizationList :many
SELECT * FROM organizations ORDER BY id;

-- OrganizationLock serializes creation within an organization, so that its limits (keys, domains) hold.
-- name: OrganizationLock :exec
SELECT 1 FROM organizations WHERE id = @id FOR UPDATE;

-- name: OrganizationSuspend :execrows
UPDATE organizations SET suspended_at = coalesce(suspended_at, @now::timestamptz) WHERE id = @id;

-- name: OrganizationResume :execrows
UPDATE organizations SET suspended_at = NULL, sending_paused_at = NULL WHERE id = @id;

-- name: OrganizationBillingUpdate :execrows
UPDATE organizations
SET has_payment_method = @has_payment_method,
    monthly_spend_cap_cents = sqlc.narg('monthly_spend_cap_cents'),
    free_monthly_allowance = @free_monthly_allowance,
    price_per_1k_cents = @price_per_1k_cents
WHERE id = @id;

-- name: OrganizationSetLimits :execrows
UPDATE organizations SET daily_limit = sqlc.narg('daily_limit'), per_second_limit = sqlc.narg('per_second_limit') WHERE id = @id;
