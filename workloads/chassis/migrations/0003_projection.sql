-- How far each shipment's events are applied. Its row's lock orders all who apply them.
CREATE TABLE projected (
    shipment_id uuid   PRIMARY KEY,
    -- Known from the first readable event on.
    account_id  text,
    last_seq    bigint NOT NULL DEFAULT 0
);

CREATE INDEX projected_account ON projected (account_id) INCLUDE (last_seq);

-- Records that wait: for a predecessor, or, where `poison_class` is set, for somebody to look at them.
CREATE TABLE parked (
    topic          text        NOT NULL,
    partition      integer     NOT NULL,
    "offset"       bigint      NOT NULL,
    -- NULL where the record does not tell.
    shipment_id    uuid,
    seq            bigint,
    key            bytea,
    value          bytea,
    -- As in outbox.
    headers        jsonb       NOT NULL,
    poison_class   text,
    poison_message text,
    parked_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset")
);

CREATE UNIQUE INDEX parked_shipment_seq ON parked (shipment_id, seq);
