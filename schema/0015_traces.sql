-- +goose Up

-- The trace that a message belongs to (W3C Trace Context, traceparent), for the span of its sending. NULL when it was
-- accepted without tracing.
ALTER TABLE sends ADD COLUMN traceparent text;
