-- Why it is delayed.
ALTER TABLE shipments ADD COLUMN delay text;

ALTER TABLE timeline
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

UPDATE timeline SET kind = 'ORDER' WHERE reported = 'CREATED';
