INSERT INTO shipment_events (shipment_id, seq, event_id, reported, classifier, disposition, occurred_at, recorded_at,
    location_code, location_facility, reason, actor)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
    $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[])
