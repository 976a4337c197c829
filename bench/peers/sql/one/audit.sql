INSERT INTO audit_leaves (id, recorded_at, account_id, subject, roles, method, object_id, request_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
