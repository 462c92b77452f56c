-- The rows, made by a few statements of many rows each. Every statement is run twice: for the old rows, then for the rest.

-- id is a version-7 id (RFC 9562, 5.7) of a moment, different for every kind of row.
CREATE FUNCTION scale_id(ms bigint, kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid
$$;

-- A row of it stands for a row in every table. mine is our organization's; old rows match every frequent filter, rare
-- rows, of which there are as many however many rows there are, the rare ones.
CREATE UNLOGGED TABLE scale_rows (
    n    bigint PRIMARY KEY,
    ms   bigint NOT NULL,
    at   timestamptz NOT NULL,
    mine boolean NOT NULL,
    old  boolean NOT NULL,
    rare boolean NOT NULL
);
-- end of preparation

INSERT INTO emails (
    id, organization_id, api_key_id, domain_id, from_email, from_name, to_email, cc, bcc, reply_to, subject, tags, outcome,
    provider_message_id, queued_at, sent_at, created_at
)
SELECT
    scale_id(ms, 1, n), owner.id, :key, :key,
    CASE WHEN rare THEN 'Rare@scale.test' WHEN old OR n % 2 = 0 THEN 'Common@scale.test' ELSE 'other@scale.test' END,
    'Scale', 'somebody@example.com', '', '', '', 'Number ' || n,
    CASE WHEN rare THEN '{rare}'::text[] WHEN old OR n % 2 = 1 THEN '{common}' ELSE '{}' END,
    CASE WHEN rare THEN 0 WHEN old THEN (ARRAY[2, 1, 2, 4])[n % 4 + 1] ELSE (ARRAY[2, 2, 2, 2, 2, 2, 3, 5, 1, 4])[n % 10 + 1] END,
    CASE WHEN NOT rare THEN to_char(ms, 'FM000000000000000') || '-' || n END, at, CASE WHEN NOT rare THEN at END, at
FROM scale_rows CROSS JOIN LATERAL (SELECT CASE WHEN mine THEN :organization::uuid ELSE :stranger::uuid END AS id) AS owner
WHERE old = :old ORDER BY n;

INSERT INTO recipients (email_id, position, organization_id, kind, name, address, address_key, outcome)
SELECT
    scale_id(ms, 1, n), 0, owner.id, 'to', '', named.address, named.address,
    CASE WHEN rare THEN 0 ELSE 2 END
FROM scale_rows
CROSS JOIN LATERAL (SELECT CASE WHEN mine THEN :organization::uuid ELSE :stranger::uuid END AS id) AS owner
CROSS JOIN LATERAL (
    SELECT CASE WHEN rare THEN 'rare@example.com' WHEN old OR n % 3 = 0 THEN 'common@example.com' ELSE 'u' || n || '@example.com' END AS address
) AS named
WHERE old = :old ORDER BY n;

INSERT INTO email_tags (organization_id, tag, email_id)
SELECT
    CASE WHEN mine THEN :organization::uuid ELSE :stranger::uuid END, CASE WHEN rare THEN 'rare' ELSE 'common' END,
    scale_id(ms, 1, n)
FROM scale_rows WHERE old = :old AND (rare OR old OR n % 2 = 1) ORDER BY n;

INSERT INTO events (email_id, fact_key, id, organization_id, type, data, occurred_at)
SELECT
    scale_id(ms, 1, n), 'sent', scale_id(ms, 2, n), CASE WHEN mine THEN :organization::uuid ELSE :stranger::uuid END,
    'email.sent', '{"providerMessageId": "0100019"}', at
FROM scale_rows WHERE old = :old AND scale_id(ms, 1, n) <> :busy_email ORDER BY n;

-- One message that was opened by very many.
INSERT INTO events (email_id, fact_key, id, organization_id, type, data, occurred_at)
SELECT :busy_email, 'opened/' || n, scale_id(ms, 3, n), :organization, 'email.opened', '{"userAgent": "Mail"}', at
FROM scale_rows WHERE old = :old AND (old OR n % 4 = 0) ORDER BY n;

INSERT INTO suppressions (id, organization_id, address_key, reason, detail, created_at)
SELECT
    scale_id(ms, 4, n), CASE WHEN mine THEN :organization::uuid ELSE :stranger::uuid END, 's' || n || '@example.com',
    CASE WHEN rare THEN 'Manual' WHEN CASE WHEN old THEN n % 2 = 0 ELSE n % 5 = 0 END THEN 'Complaint' ELSE 'Bounce' END,
    CASE WHEN NOT rare THEN 'smtp; 550 5.1.1 user unknown' END, at
FROM scale_rows WHERE old = :old ORDER BY n;

-- Ours are as many as an organization can have: old and rare rows are 1,000.
INSERT INTO templates (id, organization_id, name, published_version, latest_version, created_at, updated_at)
SELECT
    scale_id(ms, 5, n), CASE WHEN old OR rare THEN :organization::uuid ELSE :stranger::uuid END, 'template ' || n, 1, 1, at, at
FROM scale_rows WHERE old = :old ORDER BY n;

-- One template has as many versions as it can have.
INSERT INTO template_versions (template_id, version, organization_id, subject, html, text, created_at)
SELECT
    scale_id(ms, 5, n), version, CASE WHEN old OR rare THEN :organization::uuid ELSE :stranger::uuid END, 'Hello',
    '<p>Hello</p>', 'Hello', at
FROM scale_rows CROSS JOIN LATERAL generate_series(1, CASE WHEN scale_id(ms, 5, n) = :busy_template THEN 1000 ELSE 1 END) AS version
WHERE old = :old ORDER BY n, version;

-- Ours are as many as an organization can have.
INSERT INTO webhooks (id, organization_id, url, events, enabled, sealed_secret, created_at, updated_at)
SELECT
    scale_id(ms, 6, n), CASE WHEN n <= 20 THEN :organization::uuid ELSE :stranger::uuid END, 'https://example.com/' || n,
    '{email.sent,email.bounced}', true, '\x01', at, at
FROM scale_rows WHERE old = :old ORDER BY n;

INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, state, attempt, created_at, finished_at)
SELECT
    scale_id(ms, 7, n), CASE WHEN mine THEN :organization::uuid ELSE :stranger::uuid END,
    CASE WHEN mine THEN :busy_webhook::uuid ELSE :key::uuid END, scale_id(ms, 2, n), 'email.sent',
    '{"id":"' || scale_id(ms, 2, n) || '","type":"email.sent","data":{"subject":"' || repeat('x', 200) || '"}}', 'Delivered', 1, at, at
FROM scale_rows WHERE old = :old ORDER BY n;

INSERT INTO delivery_attempts (delivery_id, attempt, at, duration_ms, status_code, response_excerpt)
SELECT scale_id(ms, 7, n), 1, at, 20, 200, 'ok'
FROM scale_rows WHERE old = :old ORDER BY n;
