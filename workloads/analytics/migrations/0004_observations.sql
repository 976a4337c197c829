-- Position of the newest observation of a shipment that `histories` hold: what the log delivers again is not learned again.
CREATE TABLE learned (
    shipment_id uuid   PRIMARY KEY,
    seq         bigint NOT NULL
);
