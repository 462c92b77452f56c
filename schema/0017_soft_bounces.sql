-- +goose Up

-- The outcome of the two that stands. 7, a bounce that may be an automatic reply to a delivered message, ranks between
-- 2 (sent) and 3 (delivered); all others rank by their numbers. impl/mail names the values.
-- +goose StatementBegin
CREATE FUNCTION higher_outcome(a smallint, b smallint) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN a = 7 AND b BETWEEN 3 AND 6 THEN b WHEN b = 7 AND a BETWEEN 3 AND 6 THEN a ELSE greatest(a, b) END
$$;
-- +goose StatementEnd
