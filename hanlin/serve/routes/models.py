"""Which models there are, what they can do, and taking them in and out of memory."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanlin.model.adapters.origin import FILE
from hanlin.serve.capabilities import capabilities
from hanlin.serve.errors import UnknownModelError
from hanlin.serve.replies import json_reply
from hanlin.serve.server import Server, server_of
from hanlin.serve.shapes.body import read, takes
from hanlin.serve.shapes.models import AdapterBody, AdapterNameBody, ModelBody, ReplaceBody

router = APIRouter()
UNCHECKED = "the adapter does not say which weights it was trained on: only that its shapes fit was checked"


def _about(server: Server, name: str) -> dict[str, Any]:
    real = server.pool.real_name(name)
    served = server.pool.loaded.get(real)
    about = {"id": name, "object": "model", "created": int(server.began), "owned_by": "hanlin"}
    about |= {"root": real, "is_loaded": served is not None}
    return about if served is None else about | {"max_model_len": served.context, "bytes": served.bytes}


@router.get("/v1/models")
async def models(http: Request) -> dict[str, Any]:
    """All that may be asked for."""
    server = server_of(http)
    return {"object": "list", "data": [_about(server, name) for name in server.pool.names()]}


@router.get("/v1/models/{name:path}")
async def model(http: Request, name: str) -> dict[str, Any]:
    """One of them."""
    return _about(server_of(http), name)


@router.get("/v1/capabilities")
async def all_capabilities(http: Request) -> dict[str, Any]:
    """What is honoured, of each model that is loaded, and by every endpoint."""
    return capabilities(server_of(http))


@router.post("/v1/models/load", openapi_extra=takes(ModelBody))
async def load(http: Request) -> Response:
    """Have a model in memory before it is asked for."""
    server = server_of(http)
    body, _ = read(ModelBody, await server.body(http))
    async with server.pool.lease(body.model):
        return json_reply(_about(server, body.model))


@router.post("/v1/models/unload", openapi_extra=takes(ModelBody))
async def unload(http: Request) -> Response:
    """Let go of a model; answers that are being made go on to their end."""
    server = server_of(http)
    body, _ = read(ModelBody, await server.body(http))
    name = server.pool.real_name(body.model)
    if name not in server.pool.loaded:
        raise UnknownModelError(f"{body.model} is not loaded", "GET /v1/models says which are")
    server.pool.unload(name)
    return json_reply(_about(server, body.model))


@router.post("/v1/models/replace", openapi_extra=takes(ReplaceBody))
async def replace(http: Request) -> Response:
    """Let another version take a model's name; no request is lost."""
    server = server_of(http)
    body, _ = read(ReplaceBody, await server.body(http))
    await server.pool.replace(body.model, body.path)
    return json_reply(_about(server, body.model))


@router.post("/v1/load_lora_adapter", openapi_extra=takes(AdapterBody))
async def load_adapter(http: Request) -> Response:
    """Have a LoRA beside a model, under a name of its own."""
    server = server_of(http)
    body, _ = read(AdapterBody, await server.body(http))
    await server.pool.load_adapter(body.lora_name, body.lora_path, body.model)
    warnings = [] if (Path(body.lora_path) / FILE).is_file() else [UNCHECKED]
    return json_reply(_about(server, body.lora_name) | {"warnings": warnings})


@router.post("/v1/unload_lora_adapter", openapi_extra=takes(AdapterNameBody))
async def unload_adapter(http: Request) -> Response:
    """Know an adapter no longer."""
    server = server_of(http)
    body, _ = read(AdapterNameBody, await server.body(http))
    await server.pool.unload_adapter(body.lora_name)
    return json_reply({"id": body.lora_name, "object": "model", "deleted": True})
