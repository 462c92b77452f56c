-- +goose Up

-- Why an address is suppressed, and the list of suppressed addresses: by organization, newest first, an index for each
-- filter (the one by address is the primary key).
ALTER TABLE suppressions
    ADD COLUMN id uuid,
    -- What the mail system said, such as the diagnostic of a bounce.
    ADD COLUMN detail text,
    -- The message that caused it. Suppressions outlive messages: it may be gone.
    ADD COLUMN email_id uuid;

-- Version-7 ids (RFC 9562, 5.7) of the time at which the address was suppressed.
UPDATE suppressions
SET id = (left(uuid_floor(created_at)::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid,
    reason = CASE lower(reason) WHEN 'bounce' THEN 'Bounce' WHEN 'complaint' THEN 'Complaint' ELSE 'Manual' END;

ALTER TABLE suppressions
    ALTER COLUMN id SET NOT NULL,
    ADD CONSTRAINT suppressions_reason_check CHECK (reason IN ('Bounce', 'Complaint', 'Manual'));

CREATE UNIQUE INDEX suppressions_list_idx ON suppressions (organization_id, id);
CREATE INDEX suppressions_reason_idx ON suppressions (organization_id, reason, id);
