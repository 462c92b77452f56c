-- QuotaStore keeps what SES says that the account may send. A day_left of NULL is no limit.
-- name: QuotaUpsert :exec
INSERT INTO quota (per_second, day_left, read_at, available, taken_at)
VALUES (@per_second, sqlc.narg(day_left), clock_timestamp(), @per_second, clock_timestamp())
ON CONFLICT (one) DO UPDATE
SET per_second = excluded.per_second, day_left = excluded.day_left, read_at = excluded.read_at;

-- QuotaAssume keeps a rate as long as SES has never said one.
-- name: QuotaInsertDefault :exec
INSERT INTO quota (per_second, read_at, available, taken_at)
VALUES (@per_second, '2000-01-01', @per_second, clock_timestamp())
ON CONFLICT (one) DO NOTHING;

-- QuotaLook locks the quota until the transaction ends, and says what may be taken of it at this moment. What nobody
-- takes is kept for burst seconds. What is left of a day is not believed when SES has not been heard for some seconds. Where
-- the clock was set back, one may be taken, which brings taken_at back too: nothing waits for the clock to catch up.
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

-- QuotaTake takes from what QuotaLook showed in the same transaction, and leaves the rest.
-- name: QuotaSpend :exec
UPDATE quota
SET available = @rest::double precision, taken_at = @now::timestamptz, day_left = day_left - @taken::double precision;

-- QuotaOwe counts what was sent beyond what had been taken.
-- name: QuotaOverdraw :exec
UPDATE quota SET available = available - @owed::double precision, day_left = day_left - @owed;

-- QuotaSlow cuts the rate of all workers to a share, at most once within the pause: what was under way meanwhile says
-- nothing about the new rate. It affects a row where it did. A clock that was set back does not prolong the pause.
-- name: QuotaCutRate :execrows
UPDATE quota
SET slowed_to = greatest(quota_rate(quota, @climb) * @cut::double precision, least(per_second, greatest(per_second / 100, 1))),
    slowed_at = clock_timestamp(),
    available = least(available, 0)
WHERE slowed_at < clock_timestamp() - make_interval(secs => @pause::double precision) OR slowed_at > clock_timestamp();
