"""What an operator asks: is it alive, is it ready, what is it, how does it do."""

import time
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanlin import __version__, kernels
from hanlin.core.machine import allowed_cores, allowed_memory
from hanlin.serve.replies import json_reply
from hanlin.serve.server import server_of

router = APIRouter()


@router.get("/health")
async def health() -> dict[str, str]:
    """The server lives."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(http: Request) -> Response:
    """Whether it takes requests: 503 once it is ending."""
    is_ready = server_of(http).is_ready
    return json_reply({"status": "ready" if is_ready else "ending"}, 200 if is_ready else 503)


@router.get("/info")
async def info(http: Request) -> dict[str, Any]:
    """What this server is, and what it computes with."""
    server = server_of(http)
    cores, memory = allowed_cores(), allowed_memory()
    loaded = [
        {
            "name": one.name,
            "from": one.where,
            "weights": getattr(one.model.network, "kind", "float"),
            "bytes": one.bytes,
            "context": one.context,
            "load_seconds": round(one.load_seconds, 3),
            "in_flight": one.keeper.load,
            "tokens": one.keeper.tokens,
        }
        for one in server.pool.loaded.values()
    ]
    return {
        "version": __version__,
        "kernels": kernels.path() if not kernels.missing() else None,
        "cores": {"count": cores.count, "reason": cores.reason},
        "memory": {"available_bytes": memory.available_bytes, "budget_bytes": server.pool.budget_bytes},
        "uptime_seconds": round(time.time() - server.began, 1),
        "models": loaded,
    }


@router.get("/metrics")
async def metrics(http: Request) -> Response:
    """Counts and times, as Prometheus reads them."""
    server = server_of(http)
    for one in server.pool.loaded.values():
        server.metrics.running.labels(one.name).set(one.keeper.load)
        server.metrics.memory.labels(one.name).set(one.bytes)
    return Response(server.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")
