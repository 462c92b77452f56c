-- +goose NO TRANSACTION
-- +goose Up

-- For the list of keys, which shows those revoked last. An organization may have revoked any number of them.
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS api_keys_revoked_idx;
CREATE INDEX CONCURRENTLY api_keys_revoked_idx ON api_keys (organization_id, revoked_at) WHERE revoked_at IS NOT NULL;
RESET lock_timeout;
