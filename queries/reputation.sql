-- ReputationFactInsert stores to whom messages bounced for good, or who complained, each once, but for events (fact_keys)
-- that are stored already: what followed from them may have expired. recipients are address keys, or anything else that
-- tells recipients apart. All transactions insert in the same order, so that they never deadlock. Addresses of the mailbox
-- simulator of SES do not count.
-- name: ReputationFactInsert :exec
INSERT INTO reputation_facts (organization_id, email_id, kind, recipient_hash, domain, recorded_at)
SELECT given.organization_id, given.email_id, given.kind, hashtextextended(given.recipient, 0), coalesce(sender.name, ''), @now::timestamptz
FROM (
    SELECT
        unnest(@organization_ids::uuid[]) AS organization_id,
        unnest(@email_ids::uuid[]) AS email_id,
        unnest(@kinds::text[]) AS kind,
        unnest(@recipients::text[]) AS recipient,
        unnest(@fact_keys::text[]) AS fact_key
) AS given
LEFT JOIN LATERAL (
    SELECT domains.name FROM emails JOIN domains ON domains.id = emails.domain_id
    WHERE emails.id = given.email_id AND domains.organization_id = given.organization_id
    LIMIT 1
) AS sender ON true
LEFT JOIN LATERAL (
    SELECT true AS known FROM events
    WHERE events.email_id = given.email_id AND events.organization_id = given.organization_id AND events.fact_key = given.fact_key
    LIMIT 1
) AS stored ON true
WHERE stored.known IS NULL AND given.recipient NOT LIKE '%@simulator.amazonses.com'
ORDER BY given.organization_id, given.email_id, given.kind, given.recipient
ON CONFLICT DO NOTHING;

-- ReputationLock returns up to which message recipients are counted, and locks it, so that one process counts at a time.
-- It returns no row while another one does.
-- name: ReputationLock :one
SELECT counted_to FROM reputation_progress FOR UPDATE SKIP LOCKED;

-- ReputationAwait does the same, and waits.
-- name: ReputationAwait :exec
SELECT counted_to FROM reputation_progress FOR UPDATE;

-- name: ReputationGetProgress :one
SELECT counted_to FROM reputation_progress;

-- ReputationPageEnd returns the last message of a page of messages, in the order of acceptance.
-- name: ReputationPageEnd :one
SELECT page.id FROM (
    SELECT emails.id FROM emails
    WHERE emails.id > @counted_to AND emails.id < uuid_floor(@before::timestamptz)
    ORDER BY emails.id
    LIMIT @max_rows
) AS page
ORDER BY page.id DESC
LIMIT 1;

-- ReputationListRecipients returns the recipients of a page of messages, by organization, domain and day. Messages that
-- failed before SES took them do not count, nor messages accepted before sending was resumed.
-- name: ReputationListRecipients :many
SELECT page.organization_id, coalesce(domains.name, '')::text AS domain, page.day, array_agg(DISTINCT found.hash)::bigint[] AS recipients
FROM (
    SELECT emails.id, emails.organization_id, emails.domain_id, emails.created_at,
        (extract(epoch FROM emails.created_at)::bigint / 86400)::integer AS day
    FROM emails
    WHERE emails.id > @counted_to AND emails.id <= @page_end AND emails.outcome NOT IN (1, 4)
    ORDER BY emails.id
    LIMIT @max_rows
) AS page
LEFT JOIN domains ON domains.id = page.domain_id AND domains.organization_id = page.organization_id
LEFT JOIN reputations whole ON whole.organization_id = page.organization_id AND whole.domain = ''
CROSS JOIN LATERAL (
    SELECT hashtextextended(recipients.address_key, 0) AS hash FROM recipients
    WHERE recipients.email_id = page.id
      AND recipients.organization_id IS NOT DISTINCT FROM page.organization_id
      AND recipients.address_key NOT LIKE '%@simulator.amazonses.com'
    ORDER BY recipients.position
    LIMIT 50
) AS found
WHERE coalesce(page.created_at >= whole.counts_from, true)
GROUP BY page.organization_id, coalesce(domains.name, ''), page.day
ORDER BY page.organization_id;

-- name: ReputationListSketches :many
SELECT reputation_days.organization_id, reputation_days.domain, reputation_days.day, reputation_days.recipients
FROM (
    SELECT unnest(@organization_ids::uuid[]) AS organization_id, unnest(@domains::text[]) AS domain, unnest(@days::integer[]) AS day
) AS wanted
JOIN reputation_days USING (organization_id, domain, day);

-- name: ReputationSaveSketches :exec
INSERT INTO reputation_days (organization_id, domain, day, recipients)
SELECT unnest(@organization_ids::uuid[]), unnest(@domains::text[]), unnest(@days::integer[]), unnest(@sketches::bytea[])
ON CONFLICT (organization_id, domain, day) DO UPDATE SET recipients = excluded.recipients;

-- name: ReputationAdvance :exec
UPDATE reputation_progress SET counted_to = @counted_to;

-- ReputationListDue returns the organizations whose rates are to be computed: those with facts that are new, and those
-- with any facts, or with a warning, whose rates are older than stale_before, as time and new recipients change them too.
-- name: ReputationListDue :many
WITH RECURSIVE lanes AS (
    (SELECT f.organization_id AS lane FROM reputation_facts f ORDER BY f.organization_id LIMIT 1)
    UNION ALL
    SELECT (SELECT f.organization_id FROM reputation_facts f WHERE f.organization_id > lanes.lane ORDER BY f.organization_id LIMIT 1)
    FROM lanes WHERE lanes.lane IS NOT NULL
)
SELECT lanes.lane::uuid AS id FROM (
    SELECT lanes.lane FROM lanes WHERE lanes.lane IS NOT NULL
    UNION
    SELECT reputations.organization_id FROM reputations WHERE reputations.warned_at IS NOT NULL
) AS lanes
LEFT JOIN reputations whole ON whole.organization_id = lanes.lane AND whole.domain = ''
WHERE coalesce(whole.computed_at < @stale_before::timestamptz, true)
   OR EXISTS (
       SELECT FROM reputation_facts f WHERE f.organization_id = lanes.lane AND f.recorded_at >= @new_since::timestamptz
   )
ORDER BY lanes.lane;

-- ReputationBegin makes the row of an organization's rates if there is none, and locks it, so that its rates are computed,
-- or reset, by one transaction at a time.
-- name: ReputationBegin :exec
INSERT INTO reputations (organization_id, domain) VALUES (@organization_id, '')
ON CONFLICT (organization_id, domain) DO UPDATE SET domain = excluded.domain;

-- name: ReputationList :many
SELECT * FROM reputations WHERE organization_id = @organization_id ORDER BY domain;

-- ReputationCountFacts counts the recipients of an organization to whom mail bounced and who complained, by domain, and
-- of the whole organization.
-- name: ReputationCountFacts :many
SELECT coalesce(f.domain, '')::text AS domain, (GROUPING(f.domain) = 1)::boolean AS whole, f.kind, count(DISTINCT f.recipient_hash)::bigint AS recipients
FROM (
    SELECT reputation_facts.* FROM reputation_facts
    WHERE reputation_facts.organization_id = @organization_id
      AND reputation_facts.email_id >= uuid_floor(@since::timestamptz)
      AND reputation_facts.email_id <= @counted_to
) AS f
GROUP BY GROUPING SETS ((f.domain, f.kind), (f.kind));

-- name: ReputationListDays :many
SELECT domain, recipients FROM reputation_days WHERE organization_id = @organization_id AND day >= @first_day ORDER BY domain, day;

-- ReputationSave stores rates. warned_at and paused_at are NULL where the rate is below the threshold: a warning ends with
-- it, a pause stays.
-- name: ReputationSave :exec
INSERT INTO reputations (organization_id, domain, recipients, bounced, complained, computed_at, warned_at, paused_at)
SELECT @organization_id, given.domain, given.recipients, given.bounced, given.complained, @now::timestamptz,
    CASE WHEN given.warned THEN @now::timestamptz END, CASE WHEN given.paused THEN @now::timestamptz END
FROM (
    SELECT
        unnest(@domains::text[]) AS domain,
        unnest(@recipients::bigint[]) AS recipients,
        unnest(@bounced::bigint[]) AS bounced,
        unnest(@complained::bigint[]) AS complained,
        unnest(@warned::boolean[]) AS warned,
        unnest(@paused::boolean[]) AS paused
) AS given
ON CONFLICT (organization_id, domain) DO UPDATE SET
    recipients = excluded.recipients, bounced = excluded.bounced, complained = excluded.complained,
    computed_at = excluded.computed_at,
    warned_at = CASE WHEN excluded.warned_at IS NOT NULL THEN coalesce(reputations.warned_at, excluded.warned_at) END,
    paused_at = coalesce(reputations.paused_at, excluded.paused_at);

-- name: OrganizationPauseSending :exec
UPDATE organizations SET sending_paused_at = coalesce(sending_paused_at, @now::timestamptz) WHERE id = @id;

-- ReputationReset forgets the rates of an organization: only messages accepted from now on count.
-- name: ReputationReset :exec
UPDATE reputations
SET recipients = 0, bounced = 0, complained = 0, warned_at = NULL, paused_at = NULL, counts_from = @now::timestamptz
WHERE organization_id = @organization_id;

-- name: ReputationDeleteDays :exec
DELETE FROM reputation_days WHERE organization_id = @organization_id;

-- name: ReputationDeleteFacts :exec
DELETE FROM reputation_facts WHERE organization_id = @organization_id;

-- name: ReputationDeleteOldFacts :exec
DELETE FROM reputation_facts WHERE email_id < uuid_floor(@before::timestamptz);

-- name: ReputationDeleteOldDays :exec
DELETE FROM reputation_days WHERE day < @first_day;

-- ReputationDeleteOld deletes rates that say nothing any more.
-- name: ReputationDeleteOld :exec
DELETE FROM reputations WHERE warned_at IS NULL AND paused_at IS NULL AND greatest(computed_at, counts_from) < @before::timestamptz;

-- ReputationPaused counts the organizations, and the domains of others, for which sending is paused.
-- name: ReputationPaused :one
SELECT count(*) FILTER (WHERE domain = '')::bigint AS organizations, count(*) FILTER (WHERE domain <> '')::bigint AS domains
FROM reputations WHERE paused_at IS NOT NULL;
