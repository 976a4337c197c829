"""The write path: one transaction for each create, or one for all that wait."""

import asyncio
import ssl
from pathlib import Path

import asyncpg

from model import Created
from relay import Relay

# As many as the Rust service has.
COMMITTERS = 2
MOST_OF_ONE = 256

METHOD = "CreateShipment"
First = tuple[bytes, bytes]


class Overtaken(Exception):
    """Another request with the same key is under way."""


def read_statements(folder: Path) -> dict[str, str]:
    """SQL by file name without its ending, for example `one/shipments`."""
    return {str(file.relative_to(folder).with_suffix("")): file.read_text() for file in folder.rglob("*.sql")}


async def connect(database: dict, schema: str) -> asyncpg.Pool:
    """A pool of one service's role; asyncpg prepares each statement once on each connection."""
    role = database[schema]
    return await asyncpg.create_pool(
        host=database["host"],
        port=database["port"],
        database=database["name"],
        user=role["username"],
        password=role["password"],
        ssl=ssl.create_default_context(cafile=database["ca"]),
        server_settings={"search_path": schema},
        min_size=1,
        max_size=database["connections"],
    )


class Single:
    """Writes each create in a transaction of its own."""

    def __init__(self, pool: asyncpg.Pool, sql: dict[str, str], relay: Relay) -> None:
        self._pool, self._sql, self._relay = pool, sql, relay

    async def write(self, create: Created) -> First | None:
        """Writes durably, or finds what the key was answered with."""
        caller, shipment, now = create.principal, create.shipment, create.shipment.created_at
        async with self._pool.acquire() as connection, connection.transaction():
            scope = (caller.account_id, caller.subject, METHOD, create.key)
            found = await connection.fetchrow(self._sql["one/replay"], *scope)
            if found is not None:
                return tuple(found)
            done = await connection.execute(
                self._sql["one/idempotency"], *scope, create.request_hash, create.response
            )
            if done != "INSERT 0 1":
                raise Overtaken
            await connection.execute(
                self._sql["one/shipments"],
                shipment.shipment_id, caller.account_id, caller.subject, shipment.carrier, shipment.tracking_number,
                shipment.origin.code, shipment.origin.facility, shipment.destination.code,
                shipment.destination.facility, shipment.planned_departure, shipment.promised_arrival,
                shipment.status, 1, now, now,
            )  # fmt: skip
            await connection.execute(
                self._sql["one/events"],
                shipment.shipment_id, 1, create.event_id, "CREATED", "ACTUAL", "APPLIED", now, now,
                shipment.origin.code, shipment.origin.facility, "", caller.subject,
            )  # fmt: skip
            await connection.execute(
                self._sql["one/audit"],
                create.event_id, now, caller.account_id, caller.subject, ",".join(caller.roles), METHOD,
                shipment.shipment_id, create.request_hash,
            )  # fmt: skip
            await connection.execute(
                self._sql["one/outbox"],
                create.event_id, create.shard, shipment.shipment_id, 1, create.topic, create.record_key,
                create.payload, create.headers,
            )  # fmt: skip
        self._relay.wake()
        return None


class Group:
    """Commits what waits at the same time together."""

    def __init__(self, pool: asyncpg.Pool, sql: dict[str, str], relay: Relay) -> None:
        self._pool, self._sql, self._relay = pool, sql, relay
        self._queue: asyncio.Queue[tuple[Created, asyncio.Future]] = asyncio.Queue(1024)
        self._committers = [asyncio.create_task(self._run()) for _ in range(COMMITTERS)]

    async def write(self, create: Created) -> First | None:
        """Writes durably, or finds what the key was answered with."""
        answer = asyncio.get_running_loop().create_future()
        await self._queue.put((create, answer))
        return await answer

    async def _run(self) -> None:
        while True:
            jobs = [await self._queue.get()]
            while len(jobs) < MOST_OF_ONE and not self._queue.empty():
                jobs.append(self._queue.get_nowait())
            try:
                found = await self._commit([create for create, _ in jobs])
            except Exception as error:  # noqa: BLE001: each caller is told
                for _, answer in jobs:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), first in zip(jobs, found, strict=True):
                if not answer.done():
                    answer.set_result(first)

    async def _commit(self, creates: list[Created]) -> list[First | None]:
        found: list[First | None] = [None] * len(creates)
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(self._sql["many/replay"], *scopes(creates))
            for at, request_hash, response in rows:
                found[at - 1] = (request_hash, response)
            fresh = [create for create, first in zip(creates, found, strict=True) if first is None]
            if fresh:
                await self._insert(connection, fresh)
        self._relay.wake()
        return found

    async def _insert(self, connection: asyncpg.Connection, creates: list[Created]) -> None:
        hashes = [one.request_hash for one in creates]
        done = await connection.execute(
            self._sql["many/idempotency"], *scopes(creates), hashes, [one.response for one in creates]
        )
        if done != f"INSERT 0 {len(creates)}":
            raise Overtaken
        shipments = [one.shipment for one in creates]
        ids = [one.shipment_id for one in shipments]
        events = [one.event_id for one in creates]
        accounts = [one.account_id for one in shipments]
        subjects = [one.principal.subject for one in creates]
        now = [one.created_at for one in shipments]
        codes = [one.origin.code for one in shipments]
        facilities = [one.origin.facility for one in shipments]
        ones = [1] * len(creates)
        same = lambda text: [text] * len(creates)  # noqa: E731
        await connection.execute(
            self._sql["many/shipments"],
            ids, accounts, subjects, [one.carrier for one in shipments], [one.tracking_number for one in shipments],
            codes, facilities, [one.destination.code for one in shipments],
            [one.destination.facility for one in shipments], [one.planned_departure for one in shipments],
            [one.promised_arrival for one in shipments], same("CREATED"), ones, now, now,
        )  # fmt: skip
        await connection.execute(
            self._sql["many/events"],
            ids, ones, events, same("CREATED"), same("ACTUAL"), same("APPLIED"), now, now, codes, facilities, same(""),
            subjects,
        )  # fmt: skip
        roles = [",".join(one.principal.roles) for one in creates]
        await connection.execute(
            self._sql["many/audit"], events, now, accounts, subjects, roles, same(METHOD), ids, hashes
        )
        await connection.execute(
            self._sql["many/outbox"],
            events, [one.shard for one in creates], ids, ones, [one.topic for one in creates],
            [one.record_key for one in creates], [one.payload for one in creates], [one.headers for one in creates],
        )  # fmt: skip


def scopes(creates: list[Created]) -> tuple[list[str], ...]:
    """The columns of the idempotency keys."""
    callers = [one.principal for one in creates]
    return (
        [caller.account_id for caller in callers],
        [caller.subject for caller in callers],
        [METHOD] * len(creates),
        [one.key for one in creates],
    )
