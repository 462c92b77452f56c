-- +goose NO TRANSACTION
-- +goose Up

-- Claims count the leases of a webhook from the earliest that may be open: with the end of the lease in the index, they do
-- not walk past the leases of deliveries that have ended. It serves what the index on the webhook alone served.
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS deliveries_lease_idx;
CREATE INDEX CONCURRENTLY deliveries_lease_idx ON deliveries (webhook_id, leased_until) WHERE leased_until IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS deliveries_leased_idx;
RESET lock_timeout;
