"""Reads a timeline."""

from uuid import UUID

import asyncpg

from model import Event, Location, Timeline


async def read_timeline(pool: asyncpg.Pool, sql: dict[str, str], shipment_id: UUID, account_id: str) -> Timeline | None:
    """The shipment with its events, unless the account has no such shipment."""
    async with pool.acquire() as connection:
        shipment = await connection.fetchrow(sql["shipment"], shipment_id, account_id)
        if shipment is None:
            return None
        rows = await connection.fetch(sql["timeline"], shipment_id)
    return Timeline.model_construct(
        shipment_id=shipment["shipment_id"],
        carrier=shipment["carrier"],
        tracking_number=shipment["tracking_number"],
        origin=place(shipment["origin_code"], shipment["origin_facility"]),
        destination=place(shipment["destination_code"], shipment["destination_facility"]),
        planned_departure=shipment["planned_departure"],
        promised_arrival=shipment["promised_arrival"],
        status=shipment["status"],
        events=[event(shipment_id, row) for row in rows],
    )


def event(shipment_id: UUID, row: asyncpg.Record) -> Event:
    """A row of the timeline as it is answered."""
    return Event.model_construct(
        event_id=row["event_id"],
        shipment_id=shipment_id,
        seq=row["seq"],
        status=row["reported"],
        classifier=row["classifier"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        location=place(row["location_code"], row["location_facility"]),
        reason=row["reason"],
        actor=row["actor"],
        disposition=row["disposition"],
    )


def place(code: str | None, facility: str | None) -> Location | None:
    """A place, where there is one; what the database holds was checked before."""
    if code is None:
        return None
    return Location.model_construct(code=code, facility=facility)
