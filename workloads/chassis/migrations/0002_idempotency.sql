-- The first answer to each idempotency key, written in the transaction of the mutation.
CREATE TABLE idempotency (
    account_id   text        NOT NULL,
    subject      text        NOT NULL,
    method       text        NOT NULL,
    key          text        NOT NULL,
    request_hash bytea       NOT NULL,
    response     bytea       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, subject, method, key)
);

CREATE INDEX idempotency_created_at ON idempotency (created_at);
