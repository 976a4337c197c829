INSERT INTO outbox (id, shard, aggregate_id, seq, topic, key, payload, headers)
SELECT id, shard, aggregate_id, seq, topic, key, payload, headers
FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::bigint[], $5::text[], $6::bytea[], $7::bytea[], $8::jsonb[])
     WITH ORDINALITY AS row (id, shard, aggregate_id, seq, topic, key, payload, headers, at)
ORDER BY at
