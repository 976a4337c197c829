CREATE TABLE shipments (
    -- Version 7: ordered by creation, so that it also is the cursor of a list.
    shipment_id          uuid        PRIMARY KEY,
    account_id           text        NOT NULL,
    created_by           text        NOT NULL,
    carrier              text        NOT NULL,
    -- Carriers recycle numbers: not unique.
    tracking_number      text        NOT NULL,
    origin_code          text        NOT NULL,
    origin_facility      text        NOT NULL,
    destination_code     text        NOT NULL,
    destination_facility text        NOT NULL,
    planned_departure    timestamptz NOT NULL,
    promised_arrival     timestamptz NOT NULL,
    status               text        NOT NULL,
    -- What the status machine remembers.
    newest_applied       timestamptz,
    before_exception     text,
    -- Position of the newest event.
    seq                  bigint      NOT NULL CHECK (seq > 0),
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL
);

CREATE UNIQUE INDEX shipments_by_account ON shipments (account_id, shipment_id);

-- Every event as it was reported; never changed.
CREATE TABLE shipment_events (
    shipment_id uuid        NOT NULL REFERENCES shipments,
    seq         bigint      NOT NULL,
    event_id    uuid        NOT NULL,
    reported    text        NOT NULL,
    classifier  text        NOT NULL,
    disposition text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- Both, or none.
    location_code     text,
    location_facility text,
    reason      text        NOT NULL,
    actor       text        NOT NULL,
    PRIMARY KEY (shipment_id, seq)
);
