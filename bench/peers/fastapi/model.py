"""What is asked, what is answered, and what a create writes."""

import hashlib
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from auth import Principal


class Location(BaseModel):
    """A place."""

    code: Annotated[str, Field(pattern=r"^[A-Z0-9]{3,5}$")]
    facility: Annotated[str, Field(max_length=100)] = ""


class CreateShipment(BaseModel):
    """An order."""

    idempotency_key: Annotated[str, Field(pattern=r"^[ -~]{1,128}$")]
    carrier: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,10}$")]
    tracking_number: Annotated[str, Field(min_length=1, max_length=64)]
    origin: Location
    destination: Location
    planned_departure: AwareDatetime
    promised_arrival: AwareDatetime

    @model_validator(mode="after")
    def arrives_after_it_leaves(self) -> "CreateShipment":
        """The promise is after the departure."""
        if self.promised_arrival <= self.planned_departure:
            raise ValueError("promised_arrival must be after planned_departure")
        return self


class Shipment(BaseModel):
    """A shipment as it is kept."""

    shipment_id: UUID
    account_id: str
    carrier: str
    tracking_number: str
    origin: Location
    destination: Location
    planned_departure: datetime
    promised_arrival: datetime
    status: str
    seq: int
    created_at: datetime
    updated_at: datetime


class Order(BaseModel):
    """The answer to a create."""

    shipment: Shipment


class Event(BaseModel):
    """One event of a timeline."""

    event_id: UUID
    shipment_id: UUID
    seq: int
    status: str
    classifier: str
    occurred_at: datetime
    recorded_at: datetime
    location: Location | None
    reason: str
    actor: str
    disposition: str


class Timeline(BaseModel):
    """A shipment and its events."""

    shipment_id: UUID
    carrier: str
    tracking_number: str
    origin: Location
    destination: Location
    planned_departure: datetime
    promised_arrival: datetime
    status: str
    events: list[Event]


@dataclass(slots=True)
class Created:
    """All that a create writes."""

    shipment: Shipment
    event_id: UUID
    principal: Principal
    key: str
    request_hash: bytes
    response: bytes
    topic: str = ""
    record_key: bytes = b""
    payload: bytes = b""
    headers: str = ""

    @property
    def shard(self) -> int:
        """Where the outbox has it."""
        return self.shipment.shipment_id.bytes[15] % 64


def uuid7() -> UUID:
    """A UUID of version 7: CPython makes none before 3.14."""
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | (7 << 76)
    return UUID(int=number & ~(0x3 << 62) | (0x2 << 62))


def prepare(principal: Principal, order: CreateShipment) -> Created:
    """Decides what is written for an order."""
    now = datetime.now(UTC)
    shipment = Shipment.model_construct(
        shipment_id=uuid7(),
        account_id=principal.account_id,
        carrier=order.carrier,
        tracking_number=order.tracking_number,
        origin=order.origin,
        destination=order.destination,
        planned_departure=order.planned_departure,
        promised_arrival=order.promised_arrival,
        status="CREATED",
        seq=1,
        created_at=now,
        updated_at=now,
    )
    return Created(
        shipment=shipment,
        event_id=uuid7(),
        principal=principal,
        key=order.idempotency_key,
        request_hash=hashlib.sha256(order.model_dump_json().encode()).digest(),
        response=shipment.model_dump_json().encode(),
    )
