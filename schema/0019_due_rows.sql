-- +goose Up

-- The bytes of the bodies of a message, so that a claim can bound what it loads. NULL, as the previous release leaves
-- it, is looked up.
ALTER TABLE sends ADD COLUMN body_bytes integer;

-- Rows of queues live for seconds, and claims walk past the dead ones until they are gone: vacuum as soon as there are a
-- few thousand, at full speed. Every row is updated once or twice before it ends: the free space keeps its versions on
-- one page.
ALTER TABLE sends SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000
);
-- These two keep their rows after the work: their share of dead rows counts from what is in them.
ALTER TABLE deliveries SET (
    fillfactor = 80, autovacuum_vacuum_scale_factor = 0.005, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE notifications SET (
    fillfactor = 80, autovacuum_vacuum_scale_factor = 0.005, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0
);
