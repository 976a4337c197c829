INSERT INTO idempotency (account_id, subject, method, key, request_hash, response)
SELECT account_id, subject, method, key, request_hash, response
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[])
     WITH ORDINALITY AS row (account_id, subject, method, key, request_hash, response, at)
ORDER BY at ON CONFLICT DO NOTHING
