"""What the shipment and tracking services do for a durable create and for a timeline, with what such a platform is usually
built with: FastAPI on uvicorn and uvloop, asyncpg, aiokafka. It is measured next to them; see docs/benchmarks-workloads.md.

Usage: main.py CONFIG.json
"""

import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import uvicorn
from fastapi import Depends, FastAPI, HTTPException

from auth import Authenticator, Principal
from event import Encoder
from model import CreateShipment, Order, Shipment, Timeline, prepare
from relay import Relay
from store import Group, Single, connect, read_statements
from timeline import read_timeline


def application(config: dict) -> FastAPI:
    """The service with its routes; connections are made when it starts."""
    authenticator = Authenticator(config)
    encoder = Encoder(config)
    statements = read_statements(Path(config["sql"]))
    state = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        database = config["database"]
        shipments = await connect(database, "shipment")
        timelines = await connect(database, "tracking")
        relay = Relay(config, shipments, statements)
        await relay.start()
        kind = Group if config["batch"] else Single
        state.update(timelines=timelines, writer=kind(shipments, statements, relay))
        yield
        await relay.stop()
        await shipments.close()
        await timelines.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    caller = Depends(authenticator.caller)

    @app.post("/v1/shipments")
    async def create_shipment(order: CreateShipment, principal: Principal = caller) -> Order:
        create = prepare(principal, order)
        encoder.encode(create)
        found = await state["writer"].write(create)
        if found is None:
            return Order(shipment=create.shipment)
        request_hash, response = found
        if request_hash != create.request_hash:
            raise HTTPException(400, "idempotency_key was used for another request")
        return Order(shipment=Shipment.model_validate_json(response))

    @app.get("/v1/shipments/{shipment_id}/timeline")
    async def get_timeline(shipment_id: UUID, principal: Principal = caller) -> Timeline:
        found = await read_timeline(state["timelines"], statements, shipment_id, principal.account_id)
        if found is None:
            raise HTTPException(404, "no such shipment")
        return found

    return app


def main() -> None:
    """Serves with the settings that FastAPI's users take for speed; one process, for it has one core."""
    config = json.loads(Path(sys.argv[1]).read_text())
    host, port = config["listen"].rsplit(":", 1)
    uvicorn.run(
        application(config),
        host=host,
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        # Its clients rest between loads.
        timeout_keep_alive=300,
    )


if __name__ == "__main__":
    main()
