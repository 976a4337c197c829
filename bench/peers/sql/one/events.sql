INSERT INTO shipment_events (shipment_id, seq, event_id, reported, classifier, disposition, occurred_at, recorded_at,
    location_code, location_facility, reason, actor)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
