-- For what is silent: what a shipment is now, and since when. NULL on rows of before, until their next event.
ALTER TABLE shipments ADD COLUMN status text;
ALTER TABLE shipments ADD COLUMN status_since timestamptz;
-- Those that something is still expected of, by the time at which it is due.
CREATE INDEX shipments_due ON shipments (account_id, (CASE WHEN departed_at IS NULL THEN planned_departure ELSE latest_arrival END))
    WHERE arrived_at IS NULL;

-- What was found out of the ordinary in an event.
CREATE TABLE anomalies (
    account_id  text             NOT NULL,
    shipment_id uuid             NOT NULL,
    seq         bigint           NOT NULL,
    kind        text             NOT NULL,
    severity    double precision NOT NULL,
    explanation text             NOT NULL,
    occurred_at timestamptz      NOT NULL,
    PRIMARY KEY (shipment_id, seq, kind)
);
CREATE INDEX anomalies_newest ON anomalies (account_id, occurred_at DESC, shipment_id, seq);

-- The newest time that an event of the account tells of: what silence is measured against.
CREATE TABLE watermarks (
    account_id text        PRIMARY KEY,
    reached    timestamptz NOT NULL
);
