SELECT request_hash, response FROM idempotency
WHERE account_id = $1 AND subject = $2 AND method = $3 AND key = $4
