INSERT INTO idempotency (account_id, subject, method, key, request_hash, response)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
