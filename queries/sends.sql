-- SendInsert takes one traceparent for each message (empty for none), or no list of them.
-- name: SendInsert :exec
INSERT INTO sends (email_id, organization_id, due_at, traceparent, body_bytes)
SELECT due.email_id, due.organization_id, @due_at::timestamptz, nullif(due.traceparent, ''), due.body_bytes
FROM (
    SELECT
        unnest(@email_ids::uuid[]) AS email_id,
        unnest(@organization_ids::uuid[]) AS organization_id,
        unnest(@body_bytes::integer[]) AS body_bytes,
        unnest(@traceparents::text[]) AS traceparent
) AS due;

-- SendNotify wakes the workers when the transaction commits, and names the organizations with messages that are due at
-- due_at: in microseconds since 1970, then the organizations, a hundred in a payload, whose length is limited.
-- name: SendNotify :exec
SELECT pg_notify('sends', (extract(epoch FROM @due_at::timestamptz) * 1000000)::bigint || ' ' || string_agg(named.id::text, ','))
FROM (
    SELECT given.id, row_number() OVER () / 100 AS part FROM (SELECT DISTINCT unnest(@organization_ids::uuid[]) AS id) AS given
) AS named
GROUP BY named.part;

-- SendLanes finds the organizations that have messages to send, and when the first of each is due. It walks past all
-- rows that are dead and not removed yet.
-- name: SendLanes :many
WITH RECURSIVE lanes AS (
    (SELECT s.organization_id, s.due_at FROM sends s ORDER BY s.organization_id, s.due_at LIMIT 1)
    UNION ALL
    SELECT following.organization_id, following.due_at
    FROM lanes
    CROSS JOIN LATERAL (
        SELECT s.organization_id, s.due_at FROM sends s
        WHERE s.organization_id > lanes.organization_id ORDER BY s.organization_id, s.due_at LIMIT 1
    ) AS following
)
SELECT organization_id::uuid AS organization_id, due_at::timestamptz AS due_at FROM lanes;

-- SendClaim leases due messages, in turn over the organizations of lanes, at most per_lane of each. What is due before the
-- floor of its lane is not looked at. If there are more than max_rows, the seed, new for every claim, decides which
-- organizations come first, so that none starves. A row whose lease expired was in the middle of an attempt, which is marked ambiguous before the row is
-- tried again; with expired_lease_until the row is postponed until then, without an attempt. place is the turn,
-- was_due_at the time at which the row was due. Organizations that are suspended, or whose sending is paused, are left
-- out, except for messages accepted before expired_before, which end as Failed all the same.
--
-- Messages with bodies of more than large bytes share large_room, all others small_room: in the order of their turns,
-- they are taken as long as the bodies before them do not fill the room. What does not fit stays as it was: left_due_at is
-- when the first of that is due in the lane of a message, and leased_until where nothing of it was left.
-- name: SendClaim :many
WITH lanes AS (
    SELECT unnest(@lanes::uuid[]) AS lane, unnest(@floors::timestamptz[]) AS floor
),
active AS MATERIALIZED (
    SELECT lanes.lane, lanes.floor, coalesce(o.suspended_at, o.sending_paused_at, o.tenant_disabled_at) IS NOT NULL AS suspended
    FROM lanes
    JOIN organizations o ON o.id = lanes.lane
    -- The limit keeps the floor in the condition of the index: as a semi-join it would be a filter after it.
    CROSS JOIN LATERAL (
        SELECT s.email_id FROM sends s
        WHERE s.organization_id = lanes.lane AND s.due_at >= lanes.floor AND s.due_at <= @now::timestamptz
        ORDER BY s.due_at LIMIT 1
    ) AS oldest
    -- The message that has been due longest is about the oldest: only where it has expired can others have.
    WHERE coalesce(o.suspended_at, o.sending_paused_at, o.tenant_disabled_at) IS NULL OR oldest.email_id < uuid_floor(@expired_before::timestamptz)
    ORDER BY uuid_hash_extended(lanes.lane, @seed::bigint)
    LIMIT @max_rows
),
candidates AS MATERIALIZED (
    SELECT active.lane, due.email_id, due.due_at, due.lease_expired, due.put_off, due.body_bytes
    FROM active
    CROSS JOIN LATERAL (
        SELECT s.email_id, s.due_at, s.leased_until IS NOT NULL AS lease_expired,
            s.leased_until IS NOT NULL AND sqlc.narg(expired_lease_until)::timestamptz IS NOT NULL AS put_off,
            coalesce(s.body_bytes, (
                SELECT octet_length(c.html) + octet_length(c.text) FROM contents c
                WHERE c.email_id = s.email_id AND c.organization_id IS NOT DISTINCT FROM s.organization_id
            ), 0) AS body_bytes
        FROM sends s
        WHERE s.organization_id = active.lane AND s.due_at >= active.floor AND s.due_at <= @now::timestamptz
        ORDER BY s.due_at
        -- No more than can be claimed, because every row that is read is locked.
        LIMIT least(@per_lane::integer, (SELECT ceil(CAST(@max_rows AS integer)::numeric / nullif(count(*), 0)) FROM active))
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE NOT active.suspended OR due.email_id < uuid_floor(@expired_before::timestamptz)
),
taken AS (
    SELECT judged.*
    FROM (
        SELECT placed.*, min(placed.due_at) FILTER (WHERE NOT placed.fits) OVER (PARTITION BY placed.lane) AS left_due_at
        FROM (
            SELECT ranked.*,
                row_number() OVER (ORDER BY ranked.turn, uuid_hash_extended(ranked.lane, @seed::bigint)) AS place,
                sum(ranked.body_bytes) OVER (
                    PARTITION BY ranked.body_bytes > @large::integer
                    ORDER BY ranked.turn, uuid_hash_extended(ranked.lane, @seed::bigint)
                ) - ranked.body_bytes
                    < CASE WHEN ranked.body_bytes > @large::integer THEN @large_room::bigint ELSE @small_room::bigint END AS fits
            FROM (
                SELECT candidates.*, row_number() OVER (PARTITION BY lane ORDER BY due_at, email_id) AS turn
                FROM candidates
            ) AS ranked
        ) AS placed
    ) AS judged
    WHERE judged.fits
    ORDER BY judged.place
    LIMIT @max_rows
)
UPDATE sends
SET attempt = sends.attempt + (NOT taken.put_off)::integer,
    ambiguous_attempts = sends.ambiguous_attempts + taken.lease_expired::integer,
    due_at = CASE WHEN taken.put_off THEN sqlc.narg(expired_lease_until)::timestamptz ELSE @leased_until::timestamptz END,
    leased_until = CASE WHEN NOT taken.put_off THEN @leased_until::timestamptz END
FROM taken
WHERE sends.email_id = taken.email_id
RETURNING sends.email_id, sends.organization_id, sends.attempt, sends.ambiguous_attempts,
    coalesce(sends.traceparent, '')::text AS traceparent,
    taken.body_bytes::integer AS body_bytes, taken.place::bigint AS place, taken.due_at::timestamptz AS was_due_at, taken.put_off::boolean AS put_off,
    coalesce(taken.left_due_at, @leased_until)::timestamptz AS left_due_at;

-- SendUnclaim undoes the claim of messages in the same transaction, as if it had not been made.
-- name: SendUnclaim :exec
UPDATE sends
SET due_at = put_back.due_at, leased_until = NULL, attempt = sends.attempt - 1
FROM (SELECT unnest(@email_ids::uuid[]) AS email_id, unnest(@due_at::timestamptz[]) AS due_at) AS put_back
WHERE sends.email_id = put_back.email_id;

-- SendLoad reads what is needed to send the claimed messages, but for their bodies, and repeats the checks of acceptance.
-- name: SendLoad :many
SELECT
    sqlc.embed(emails),
    (coalesce(organizations.suspended_at, organizations.sending_paused_at, organizations.tenant_disabled_at) IS NOT NULL)::boolean AS organization_suspended,
    EXISTS (
        SELECT 1 FROM domains
        LEFT JOIN reputations ON reputations.organization_id = domains.organization_id AND reputations.domain = domains.name
        WHERE domains.organization_id = emails.organization_id
          AND domains.id = emails.domain_id
          AND (reputations.paused_at IS NOT NULL OR (domains.parked_at IS NOT NULL AND domains.status = 'Verified'))
    ) AS domain_paused,
    CASE WHEN EXISTS (SELECT FROM ses_tenancy) THEN EXISTS (
        SELECT 1 FROM ses_tenants
        JOIN domains ON domains.organization_id = ses_tenants.organization_id AND domains.name = ANY (ses_tenants.identities)
        WHERE ses_tenants.organization_id = emails.organization_id AND domains.id = emails.domain_id
    ) ELSE false END AS has_tenant,
    EXISTS (
        SELECT 1 FROM domains
        WHERE domains.organization_id = emails.organization_id
          AND domains.id = emails.domain_id
          AND domains.status = 'Verified'
    ) AS domain_verified
FROM emails
JOIN organizations ON organizations.id = emails.organization_id
WHERE emails.id = ANY (@ids::uuid[]) AND (emails.organization_id = ANY (@organization_ids::uuid[])) IS TRUE;

-- SendBodies reads the bodies of claimed messages.
-- name: SendBodies :many
SELECT email_id, html, text FROM contents
WHERE email_id = ANY (@email_ids::uuid[]) AND (organization_id = ANY (@organization_ids::uuid[])) IS TRUE;

-- SendRecipients looks each message up separately: before a new partition has statistics, one lookup for all would
-- read the whole partition. For the same reason the organization is compared in a way that no index serves: by the
-- index of the list of recipients, every message would read all recipients of its organization (50 ms instead of
-- less than 1 ms for a group of 32 messages). A message has at most 50 recipients.
-- name: SendRecipients :many
SELECT found.email_id, found.position, found.kind, found.name, found.address,
    EXISTS (
        SELECT 1 FROM suppressions
        WHERE suppressions.organization_id = wanted.organization_id AND suppressions.address_key = found.address_key
    ) AS suppressed
FROM (SELECT unnest(@email_ids::uuid[]) AS email_id, unnest(@organization_ids::uuid[]) AS organization_id) AS wanted
CROSS JOIN LATERAL (
    SELECT recipients.email_id, recipients.position, recipients.kind, recipients.name, recipients.address, recipients.address_key
    FROM recipients
    WHERE recipients.email_id = wanted.email_id AND recipients.organization_id IS NOT DISTINCT FROM wanted.organization_id
    ORDER BY recipients.email_id, recipients.position
    LIMIT 50
) AS found;

-- RecipientSetOutcome stores the outcome of recipients, found by their own key for the same reason.
-- name: RecipientSetOutcome :exec
UPDATE recipients
SET outcome = greatest(recipients.outcome, @outcome::smallint)
FROM (
    SELECT
        unnest(@email_ids::uuid[]) AS email_id,
        unnest(@positions::smallint[]) AS position,
        unnest(@organization_ids::uuid[]) AS organization_id
) AS marked
WHERE recipients.email_id = marked.email_id
  AND recipients.position = marked.position
  AND recipients.organization_id IS NOT DISTINCT FROM marked.organization_id;

-- SendLock locks the due rows of a group in the order of their ids, so that groups that share messages never
-- deadlock.
-- name: SendLock :exec
SELECT email_id FROM sends WHERE email_id = ANY (@email_ids::uuid[]) ORDER BY email_id FOR UPDATE;

-- EmailLock locks messages in the order of their ids, after their due rows: a statement that updates several locks them in the
-- order of its plan.
-- name: EmailLock :exec
SELECT locked.id
FROM (SELECT DISTINCT unnest(@ids::uuid[]) AS id ORDER BY id) AS wanted
CROSS JOIN LATERAL (SELECT e.id FROM emails e WHERE e.id = wanted.id LIMIT 1 FOR NO KEY UPDATE) AS locked;

-- SendComplete ends the work of messages that SES accepted, whichever worker holds the lease by now: another
-- attempt could only send them twice.
-- name: SendComplete :exec
DELETE FROM sends WHERE email_id = ANY (@email_ids::uuid[]);

-- SendFail ends the work of messages that failed for good, if the attempt is still ours.
-- name: SendFail :many
DELETE FROM sends
USING (SELECT unnest(@email_ids::uuid[]) AS email_id, unnest(@attempts::integer[]) AS attempt) AS given_up
WHERE sends.email_id = given_up.email_id AND sends.attempt = given_up.attempt
RETURNING sends.email_id;

-- SendPostpone puts messages back if the attempt is still ours. Doing so twice is doing so once.
-- name: SendPostpone :exec
UPDATE sends
SET due_at = postponed.due_at,
    leased_until = NULL,
    ambiguous_attempts = sends.ambiguous_attempts + postponed.ambiguous
FROM (
    SELECT
        unnest(@email_ids::uuid[]) AS email_id,
        unnest(@attempts::integer[]) AS attempt,
        unnest(@due_at::timestamptz[]) AS due_at,
        unnest(@ambiguous::integer[]) AS ambiguous
) AS postponed
WHERE sends.email_id = postponed.email_id
  AND sends.attempt = postponed.attempt
  AND sends.leased_until IS NOT NULL;

-- SendDueNow makes messages of an organization that were postponed due, at most max_rows of them, from floor on: the messages of a
-- domain whose sending was paused among them. It returns how many they were and when the last of them would have been due, which is
-- the floor of what is left: what an earlier call moved is not walked again. Messages that SES may have accepted go on waiting for
-- their events.
-- name: SendDueNow :one
WITH postponed AS (
    SELECT s.email_id, s.due_at FROM sends s
    WHERE s.organization_id = @organization_id AND s.due_at > @now AND s.due_at >= @floor
      AND s.leased_until IS NULL AND s.ambiguous_attempts = 0
    ORDER BY s.due_at
    LIMIT @max_rows
    FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE sends SET due_at = @now::timestamptz WHERE sends.email_id IN (SELECT postponed.email_id FROM postponed)
)
SELECT count(*) AS moved, coalesce(max(postponed.due_at), @floor)::timestamptz AS last FROM postponed;
