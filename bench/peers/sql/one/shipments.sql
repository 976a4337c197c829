INSERT INTO shipments (shipment_id, account_id, created_by, carrier, tracking_number, origin_code, origin_facility,
    destination_code, destination_facility, planned_departure, promised_arrival, status, seq, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
