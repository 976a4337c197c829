-- By the carrier's number. The table is not large yet where this runs; later indexes are built concurrently.
CREATE INDEX shipments_by_number ON shipments (account_id, tracking_number, carrier, shipment_id);
