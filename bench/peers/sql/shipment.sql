SELECT shipment_id, carrier, tracking_number, origin_code, origin_facility, destination_code, destination_facility,
    planned_departure, promised_arrival, status
FROM shipments WHERE shipment_id = $1 AND account_id = $2
