-- QuotaUpsert stores the account quota that SES reported. A day_left of NULL means no daily limit.
-- name: QuotaUpsert :exec
INSERT INTO quota (per_second, day_left, read_at, available, taken_at)
VALUES (@per_second, sqlc.narg(day_left), clock_timestamp(), @per_second, clock_timestamp())
ON CONFLICT (one) DO UPDATE
SET per_second = excluded.per_second, day_left = excluded.day_left, read_at = excluded.read_at;

-- QuotaInsertDefault stores an assumed rate, which holds until SES reports one.
-- name: QuotaInsertDefault :exec
INSERT INTO quota (per_second, read_at, available, taken_at)
VALUES (@per_second, '2000-01-01', @per_second, clock_timestamp())
ON CONFLICT (one) DO NOTHING;

-- QuotaLock locks the quota until the transaction ends, and returns what may be spent now. Unspent quota
-- accumulates for burst seconds. The rest of the day is ignored (no limit) if SES reported it more than believed
-- seconds ago. If the clock was set back, one send is allowed, which sets taken_at back too, so that nothing waits
-- for the clock to catch up.
-- name: QuotaLock :one
WITH locked AS (
    SELECT quota.*, quota_rate(quota, @climb) AS rate, clock_timestamp() AS now FROM quota FOR UPDATE
)
SELECT
    rate::double precision AS rate,
    least(
        greatest(rate * @burst::double precision, 1),
        CASE WHEN taken_at > now + interval '1 second' THEN greatest(available, 1)
            ELSE available + rate * greatest(extract(epoch FROM now - taken_at), 0) END
    )::double precision AS available,
    coalesce(
        CASE WHEN read_at > now - make_interval(secs => @believed::double precision) THEN day_left END, 'Infinity'
    )::double precision AS day_left,
    now::timestamptz AS now
FROM locked;

-- QuotaSpend spends from what QuotaLock returned in the same transaction, and stores the rest.
-- name: QuotaSpend :exec
UPDATE quota
SET available = @rest::double precision, taken_at = @now::timestamptz, day_left = day_left - @taken::double precision;

-- QuotaOverdraw subtracts what was sent beyond what had been spent.
-- name: QuotaOverdraw :exec
UPDATE quota SET available = available - @owed::double precision, day_left = day_left - @owed;

-- QuotaCutRate cuts the rate of all workers to a share, at most once per pause: sends that were in flight meanwhile
-- say nothing about the new rate. It affects one row if it cut the rate. A clock that was set back does not prolong
-- the pause.
-- name: QuotaCutRate :execrows
UPDATE quota
SET slowed_to = greatest(quota_rate(quota, @climb) * @cut::double precision, least(per_second, greatest(per_second / 100, 1))),
    slowed_at = clock_timestamp(),
    available = least(available, 0)
WHERE slowed_at < clock_timestamp() - make_interval(secs => @pause::double precision) OR slowed_at > clock_timestamp();
