SELECT seq, event_id, reported, classifier, disposition, occurred_at, recorded_at, location_code, location_facility,
    reason, actor
FROM timeline WHERE shipment_id = $1 ORDER BY seq
