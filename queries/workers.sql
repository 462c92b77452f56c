-- The advisory lock of a worker is the hash of its id, with a seed of its own.

-- WorkerLock takes the lock of a worker, for the session, unless another session has it.
-- name: WorkerLock :one
SELECT pg_try_advisory_lock(uuid_hash_extended(@id::uuid, 34)) AS locked;

-- name: WorkerInsert :exec
INSERT INTO workers (id, joined_at) VALUES (@id, @now::timestamptz);

-- WorkerAlive tells whether a worker has not been taken over, and which process of Postgres serves its session.
-- name: WorkerAlive :one
SELECT EXISTS (SELECT FROM workers WHERE workers.id = @id::uuid) AS known, pg_backend_pid()::integer AS backend;

-- WorkerEnded lists the workers, other than one, whose session has ended.
-- name: WorkerEnded :many
SELECT workers.id FROM workers
WHERE workers.id <> @id AND pg_try_advisory_xact_lock_shared(uuid_hash_extended(workers.id, 34));

-- WorkerTakeLock keeps the session of a worker from coming back until the transaction ends, if it has ended.
-- name: WorkerTakeLock :one
SELECT pg_try_advisory_xact_lock(uuid_hash_extended(@id::uuid, 34)) AS locked;

-- name: WorkerDelete :execrows
DELETE FROM workers WHERE id = @id;

-- UnstartedSendInsert notes what a claim leased. An earlier claim with the same end of its leases may have left its note: its
-- messages were put back, or wait for that end.
-- name: UnstartedSendInsert :exec
INSERT INTO unstarted_sends (worker_id, leased_until, email_ids) VALUES (@worker_id, @leased_until::timestamptz, @email_ids::uuid[])
ON CONFLICT ON CONSTRAINT unstarted_sends_pkey DO UPDATE SET email_ids = unstarted_sends.email_ids || excluded.email_ids;

-- UnstartedSendStart notes that the messages of a claim may be at SES from now on, if they are still the worker's and the
-- session is its own.
-- name: UnstartedSendStart :execrows
DELETE FROM unstarted_sends
WHERE worker_id = @worker_id AND leased_until = @leased_until::timestamptz AND pg_backend_pid() = @backend::integer;

-- UnstartedSendDelete deletes what is left of a worker, and what was forgotten.
-- name: UnstartedSendDelete :exec
DELETE FROM unstarted_sends WHERE worker_id = @worker_id OR leased_until < @forgotten_before::timestamptz;

-- SendTakeOver makes messages due that a worker claimed and did not start. Their attempt counts as made, so that nothing that
-- the worker may still say about it is taken for the next.
-- name: SendTakeOver :many
WITH unstarted AS MATERIALIZED (
    SELECT unnest(u.email_ids) AS email_id, u.leased_until FROM unstarted_sends u WHERE u.worker_id = @worker_id
),
locked AS MATERIALIZED (
    SELECT s.email_id FROM sends s
    JOIN unstarted ON unstarted.email_id = s.email_id AND unstarted.leased_until = s.leased_until
    ORDER BY s.email_id FOR UPDATE OF s
)
UPDATE sends SET due_at = @now::timestamptz, leased_until = NULL
FROM locked WHERE sends.email_id = locked.email_id
RETURNING sends.organization_id;

-- DeliveryTakeOver makes the deliveries due that a worker was attempting. An attempt that the endpoint got is made twice,
-- with the same id.
-- name: DeliveryTakeOver :execrows
WITH locked AS MATERIALIZED (
    SELECT d.id FROM deliveries d WHERE d.leased_until IS NOT NULL AND d.worker_id = @worker_id ORDER BY d.id FOR NO KEY UPDATE
)
UPDATE deliveries SET due_at = @now::timestamptz, leased_until = NULL, worker_id = NULL
FROM locked WHERE deliveries.id = locked.id;

-- name: DomainCheckTakeOver :execrows
UPDATE domain_checks SET due_at = @now::timestamptz, leased_until = NULL, worker_id = NULL
WHERE leased_until IS NOT NULL AND worker_id = @worker_id;
