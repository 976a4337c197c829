SELECT at, request_hash, response
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
     WITH ORDINALITY AS claim (account_id, subject, method, key, at)
JOIN idempotency USING (account_id, subject, method, key)
