-- Who did what: one leaf for each change, written in its transaction. Leaves are only ever added; the service's role
-- may neither change nor delete them. They are not chained here, so that writers do not wait for one another.
CREATE TABLE audit_leaves (
    position     bigserial   PRIMARY KEY,
    -- The event's.
    id           uuid        NOT NULL,
    recorded_at  timestamptz NOT NULL,
    account_id   text        NOT NULL,
    subject      text        NOT NULL,
    -- As the token gave them, divided by commas.
    roles        text        NOT NULL,
    method       text        NOT NULL,
    object_id    uuid        NOT NULL,
    -- SHA-256 of the request.
    request_hash bytea       NOT NULL
);

CREATE INDEX audit_leaves_object ON audit_leaves (object_id, position);
