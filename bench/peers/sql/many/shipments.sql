INSERT INTO shipments (shipment_id, account_id, created_by, carrier, tracking_number, origin_code, origin_facility,
    destination_code, destination_facility, planned_departure, promised_arrival, status, seq, created_at, updated_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::bigint[], $14::timestamptz[],
    $15::timestamptz[])
