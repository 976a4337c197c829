INSERT INTO audit_leaves (id, recorded_at, account_id, subject, roles, method, object_id, request_hash)
SELECT id, recorded_at, account_id, subject, roles, method, object_id, request_hash
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::bytea[])
     WITH ORDINALITY AS row (id, recorded_at, account_id, subject, roles, method, object_id, request_hash, at)
ORDER BY at
