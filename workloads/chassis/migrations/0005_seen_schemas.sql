-- Schemas of the registry that this service has used, so that it goes on without the registry.
CREATE TABLE seen_schemas (
    id      bigint      PRIMARY KEY,
    -- Where it is one of the service's own schemas: its subject.
    subject text,
    schema  text        NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
