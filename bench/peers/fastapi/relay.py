"""Sends what is in the outbox to the log, in its order, and deletes what the log has."""

import asyncio
import json
import logging

import asyncpg
from aiokafka import AIOKafkaProducer

POLL_SECONDS = 0.5


class Relay:
    """One for a process."""

    def __init__(self, config: dict, pool: asyncpg.Pool, sql: dict[str, str]) -> None:
        self._pool, self._sql = pool, sql
        self._woken = asyncio.Event()
        # As the Rust service's producer is set; aiokafka's partitioner is the murmur2 of Java.
        self._producer = AIOKafkaProducer(
            bootstrap_servers=config["bootstrap"],
            acks="all",
            enable_idempotence=True,
            compression_type="gzip",
            linger_ms=2,
        )
        self._task: asyncio.Task | None = None

    async def start(self) -> None:
        """Connects, and relays from then on."""
        await self._producer.start()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends."""
        if self._task is not None:
            self._task.cancel()
        await self._producer.stop()

    def wake(self) -> None:
        """Tells that something was committed."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                if await self._round():
                    continue
            except Exception:  # noqa: BLE001: it goes on with what is there
                logging.exception("relay")
            try:
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
            except TimeoutError:
                pass

    async def _round(self) -> bool:
        rows = await self._pool.fetch(self._sql["unsent"])
        if not rows:
            return False
        deliveries = []
        for row in rows:
            headers = [(name, value.encode()) for name, value in json.loads(row["headers"])]
            delivery = await self._producer.send(row["topic"], row["payload"], row["key"], headers=headers)
            deliveries.append(delivery)
        await asyncio.gather(*deliveries)
        await self._pool.execute(self._sql["sent"], [row["position"] for row in rows])
        return True
