"""The event of a create, as the registry's readers expect it."""

import io
import json
import struct
from pathlib import Path

import fastavro

from model import Created


class Encoder:
    """Writes Avro in the registry's wire format, and CloudEvents headers."""

    def __init__(self, config: dict) -> None:
        self._schema = fastavro.parse_schema(json.loads(Path(config["schema"]).read_text()))
        self._prefix = b"\x00" + struct.pack(">I", config["schemaId"])
        self._topic, self._type = config["topic"], config["eventType"]

    def encode(self, create: Created) -> None:
        """Fills in what the outbox row of the create holds."""
        shipment = create.shipment
        key = str(shipment.shipment_id)
        buffer = io.BytesIO(self._prefix)
        buffer.seek(len(self._prefix))
        event = {
            "shipment_id": key,
            "seq": 1,
            "account_id": shipment.account_id,
            "actor": create.principal.subject,
            "carrier": shipment.carrier,
            "tracking_number": shipment.tracking_number,
            "origin": {"code": shipment.origin.code, "facility": shipment.origin.facility},
            "destination": {"code": shipment.destination.code, "facility": shipment.destination.facility},
            "planned_departure": shipment.planned_departure,
            "promised_arrival": shipment.promised_arrival,
            "recorded_at": shipment.created_at,
        }
        fastavro.schemaless_writer(buffer, self._schema, event)
        create.topic, create.record_key, create.payload = self._topic, key.encode(), buffer.getvalue()
        create.headers = json.dumps(
            [
                ["ce_specversion", "1.0"],
                ["ce_id", str(create.event_id)],
                ["ce_source", "/bench/peers/fastapi"],
                ["ce_type", self._type],
                ["ce_time", shipment.created_at.isoformat()],
                ["ce_partitionkey", key],
                ["ce_sequence", "1"],
                ["content-type", "application/avro"],
            ]
        )
