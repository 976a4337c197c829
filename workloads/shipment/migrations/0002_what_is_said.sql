ALTER TABLE shipments
    -- What the status machine remembers, as `newest_applied`: of the newest event that says what happened.
    ADD COLUMN newest_seen timestamptz,
    -- Why it is delayed.
    ADD COLUMN delay       text,
    -- Who is to carry it; empty for nobody.
    ADD COLUMN assignee    text NOT NULL DEFAULT '';

UPDATE shipments SET newest_seen =
    (SELECT max(occurred_at) FROM shipment_events e
     WHERE e.shipment_id = shipments.shipment_id AND e.seq > 1 AND e.classifier = 'ACTUAL');

ALTER TABLE shipment_events
    ADD COLUMN kind                text NOT NULL DEFAULT 'SCAN',
    -- Of a retraction: the event of the same shipment that it takes back.
    ADD COLUMN retracts            uuid,
    -- Of a delay: why; none says that it is over.
    ADD COLUMN notice              text,
    -- Of a proven delivery: all of them, or none.
    ADD COLUMN proof_signer        text,
    ADD COLUMN proof_image_ref     text,
    ADD COLUMN proof_signature_ref text,
    -- Of an assignment.
    ADD COLUMN assignee            text NOT NULL DEFAULT '';

UPDATE shipment_events SET kind = 'ORDER' WHERE reported IN ('CREATED', 'CANCELLED');
