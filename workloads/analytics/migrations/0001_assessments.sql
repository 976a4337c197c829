-- A shipment as the estimates see it, and its newest assessment.
CREATE TABLE shipments (
    shipment_id       uuid             PRIMARY KEY,
    account_id        text             NOT NULL,
    carrier           text             NOT NULL,
    origin            text             NOT NULL,
    destination       text             NOT NULL,
    planned_departure timestamptz      NOT NULL,
    promised_arrival  timestamptz      NOT NULL,
    departed_at       timestamptz,
    arrived_at        timestamptz,
    -- The estimates made, in minutes against the promise.
    at_creation       jsonb            NOT NULL,
    in_transit        jsonb,
    -- Position of the event on which the assessment rests.
    seq               bigint           NOT NULL,
    risk              double precision NOT NULL,
    reasons           jsonb            NOT NULL,
    estimated_arrival timestamptz      NOT NULL,
    earliest_arrival  timestamptz      NOT NULL,
    latest_arrival    timestamptz      NOT NULL
);

-- What has been learned, per lane, route, carrier and account. Columns that a level does not have are ''.
CREATE TABLE histories (
    account_id   text             NOT NULL,
    level        text             NOT NULL CHECK (level IN ('lane', 'route', 'carrier', 'overall')),
    carrier      text             NOT NULL,
    origin       text             NOT NULL,
    destination  text             NOT NULL,
    -- Out of `state`, for lists.
    arrivals     bigint           NOT NULL DEFAULT 0,
    late         bigint           NOT NULL DEFAULT 0,
    median_delay double precision NOT NULL DEFAULT 0,
    -- NULL until the first arrival.
    state        jsonb,
    PRIMARY KEY (account_id, level, carrier, origin, destination)
);

-- Sums over the arrivals that had an estimate in transit; errors are absolute, in minutes.
CREATE TABLE accuracy (
    account_id        text             PRIMARY KEY,
    arrivals          bigint           NOT NULL,
    error_at_creation double precision NOT NULL,
    error_in_transit  double precision NOT NULL,
    error_of_promise  double precision NOT NULL,
    -- Arrivals within the interval.
    covered           bigint           NOT NULL
);
