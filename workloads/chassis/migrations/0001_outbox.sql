-- Records for the event log, written in the transaction of what they tell of, deleted when the log has them.
CREATE TABLE outbox (
    -- The order of sending. Whoever writes an aggregate holds its lock, so per aggregate it is the order of `seq`.
    position     bigserial   PRIMARY KEY,
    id           uuid        NOT NULL,
    shard        smallint    NOT NULL CHECK (shard BETWEEN 0 AND 63),
    aggregate_id uuid        NOT NULL,
    seq          bigint      NOT NULL,
    topic        text        NOT NULL,
    key          bytea,
    payload      bytea,
    -- [[name, text]] or, for what is no text, [name, null, base64].
    headers      jsonb       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (
    -- Rows live for milliseconds: clean up early, or every read walks over the dead.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);
