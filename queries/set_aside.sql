-- NotificationSetAside ends the work of a notification that Postgres refuses, and keeps it apart.
-- name: NotificationSetAside :exec
WITH ended AS (
    UPDATE notifications SET due_at = NULL, leased_until = NULL, body = NULL WHERE message_id = @message_id
)
INSERT INTO set_aside_notifications (message_id, body, received_at, refusal, set_aside_at)
VALUES (@message_id, @body::text, @received_at::timestamptz, @refusal::text, @now::timestamptz)
ON CONFLICT (message_id) DO NOTHING;

-- ResultSetAside keeps a result of sending that Postgres refuses.
-- name: ResultSetAside :exec
INSERT INTO set_aside_results (
    email_id, organization_id, attempt, result, provider_message_id, reason, refusal, set_aside_at
) VALUES (
    @email_id, @organization_id, @attempt, @result::text, @provider_message_id::text, @reason::text, @refusal::text,
    @now::timestamptz
)
ON CONFLICT (email_id) DO NOTHING;

-- SetAsideCount returns how much was set aside and is still kept.
-- name: SetAsideCount :one
SELECT (SELECT count(*) FROM set_aside_notifications)::bigint AS notifications,
    (SELECT count(*) FROM set_aside_results)::bigint AS results;

-- SetAsideDeleteExpired deletes what was set aside long ago.
-- name: SetAsideDeleteExpired :exec
WITH notifications AS (DELETE FROM set_aside_notifications AS n WHERE n.set_aside_at < @before::timestamptz)
DELETE FROM set_aside_results AS r WHERE r.set_aside_at < @before::timestamptz;
