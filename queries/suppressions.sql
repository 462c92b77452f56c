-- SuppressionAmong finds, of the given addresses, those that the given organizations do not send to.
-- name: SuppressionAmong :many
SELECT organization_id, address_key FROM suppressions
WHERE organization_id = ANY (@organization_ids::uuid[]) AND address_key = ANY (@address_keys::text[]);
