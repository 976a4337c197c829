SELECT position, topic, key, payload, headers FROM outbox ORDER BY position LIMIT 1000
