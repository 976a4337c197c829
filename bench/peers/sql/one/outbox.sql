INSERT INTO outbox (id, shard, aggregate_id, seq, topic, key, payload, headers)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
