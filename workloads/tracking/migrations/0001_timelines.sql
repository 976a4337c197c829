CREATE TABLE shipments (
    shipment_id          uuid        PRIMARY KEY,
    account_id           text        NOT NULL,
    carrier              text        NOT NULL,
    tracking_number      text        NOT NULL,
    origin_code          text        NOT NULL,
    origin_facility      text        NOT NULL,
    destination_code     text        NOT NULL,
    destination_facility text        NOT NULL,
    planned_departure    timestamptz NOT NULL,
    promised_arrival     timestamptz NOT NULL,
    status               text        NOT NULL
);

-- What happened, as the log tells it; never changed.
CREATE TABLE timeline (
    shipment_id       uuid        NOT NULL REFERENCES shipments,
    seq               bigint      NOT NULL,
    event_id          uuid        NOT NULL,
    reported          text        NOT NULL,
    classifier        text        NOT NULL,
    disposition       text        NOT NULL,
    occurred_at       timestamptz NOT NULL,
    recorded_at       timestamptz NOT NULL,
    -- Both, or none.
    location_code     text,
    location_facility text,
    reason            text        NOT NULL,
    actor             text        NOT NULL,
    PRIMARY KEY (shipment_id, seq)
);
