"""/v1/responses: answers that are kept, gone on from, computed in the background and cancelled."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanlin.core.errors import HanlinError
from hanlin.serve import errors
from hanlin.serve.answering import Beat, unless_gone
from hanlin.serve.chatting import begin
from hanlin.serve.errors import FieldError, GoneError
from hanlin.serve.replies import Stream, event, json_reply
from hanlin.serve.responding import Making, Told, fresh
from hanlin.serve.server import Server, owner_of, server_of
from hanlin.serve.shapes.body import read, takes
from hanlin.serve.shapes.responses import ResponseBody
from hanlin.serve.state import RESPONSES

router = APIRouter()
OPEN = ("queued", "in_progress")


@router.post("/v1/responses", openapi_extra=takes(ResponseBody))
async def create(http: Request) -> Response:
    """Answer something, perhaps after an earlier response."""
    server, owner = server_of(http), owner_of(http)
    body, warnings = read(ResponseBody, await server.body(http))
    if body.background and (not body.store or body.stream):
        what = "a response in the background is not streamed" if body.stream else "background without store"
        raise FieldError("background", what, "GET /v1/responses/ID tells how it is doing")
    earlier = await _conversation(server, body.previous_response_id, owner)
    told = fresh(body, server.pool.adapter_of(body.model) or server.pool.real_name(body.model))
    chat = body.request(earlier)
    if body.background:
        await _keep(server, owner, told, [*earlier, *body.items()])
        server.works[told["id"]] = asyncio.create_task(_later(http, server, owner, chat, told, earlier, body))
        return json_reply(told)
    async with server.taken(body.model) as held:
        talk = await begin(held, chat, warnings, server.settings)
        making = Making(talk, told)
        if body.store:
            await _keep(server, owner, told, [*earlier, *body.items()])
        if body.stream:
            return Stream(_stream(http, server, owner, making, body, earlier), held.passed_on())
        await unless_gone(http, _run(making))
        await _end(http, server, owner, making, body, earlier)
        if told["status"] == "failed":
            return json_reply(told, 500)
        return json_reply(told)


async def _run(making: Making) -> None:
    async for _ in making.events():
        pass


async def _stream(
    http: Request, server: Server, owner: str, making: Making, body: ResponseBody, earlier: list[Told]
) -> AsyncIterator[str]:
    try:
        async for one in making.events():
            yield one.comment() if isinstance(one, Beat) else event(one, one["type"])
    finally:
        if making.told["status"] in OPEN:  # the client has left
            making.told["status"] = "cancelled"
        await _end(http, server, owner, making, body, earlier)


async def _end(
    http: Request, server: Server, owner: str, making: Making, body: ResponseBody, earlier: list[Told]
) -> None:
    server.finished(http, making.talk.ticket, making.talk.completion_tokens)
    if body.store:
        await _keep(server, owner, making.told, [*earlier, *body.items()])


async def _later(
    http: Request, server: Server, owner: str, chat: Any, told: Told, earlier: list[Told], body: ResponseBody
) -> None:
    """Compute a response that nobody waits for."""
    try:
        async with server.taken(body.model) as held:
            making = Making(await begin(held, chat, [], server.settings), told)
            told["status"] = "in_progress"
            await _keep(server, owner, told, [*earlier, *body.items()])
            await _run(making)
            server.finished(http, making.talk.ticket, making.talk.completion_tokens)
    except asyncio.CancelledError:
        told["status"] = "cancelled"
    except HanlinError as error:
        wrong = errors.as_json(error)["error"]
        told |= {"status": "failed", "error": {"code": wrong["code"] or "server_error", "message": wrong["message"]}}
    finally:
        server.works.pop(told["id"], None)
        await _keep(server, owner, told, [*earlier, *body.items()])


async def _keep(server: Server, owner: str, told: Told, items: list[Told]) -> None:
    created = float(told["created_at"])
    await server.state.keep(RESPONSES, told["id"], owner, created=created, input=items, told=dict(told))


async def _conversation(server: Server, name: str | None, owner: str) -> list[Told]:
    """All items up to a stored response and its answer."""
    if name is None:
        return []
    entry = await _entry(server, name, owner)
    if entry["told"]["status"] in OPEN:
        raise FieldError("previous_response_id", f"{name} is still {entry['told']['status']}", "wait for its end")
    return [*entry["input"], *entry["told"]["output"]]


async def _entry(server: Server, name: str, owner: str) -> Mapping[str, Any]:
    entry = await server.state.find(RESPONSES, name, owner)
    if entry is None:
        raise GoneError(f"there is no response {name!r}", "it was not stored, was deleted, or belongs to another key")
    return entry


@router.get("/v1/responses/{name}")
async def get(http: Request, name: str) -> Response:
    """A stored response, as far as it is."""
    return json_reply((await _entry(server_of(http), name, owner_of(http)))["told"])


@router.get("/v1/responses/{name}/input_items")
async def items(http: Request, name: str) -> Response:
    """What it was asked with, the newest first."""
    entry = await _entry(server_of(http), name, owner_of(http))
    data = [{"id": f"item_{place}", **item} for place, item in enumerate(entry["input"])][::-1]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return json_reply({"object": "list", "data": data, **ends, "has_more": False})


@router.delete("/v1/responses/{name}")
async def delete(http: Request, name: str) -> Response:
    """Forget a response."""
    server, owner = server_of(http), owner_of(http)
    await _entry(server, name, owner)
    await _cancel(server, name)
    await server.state.drop(RESPONSES, name, owner)
    return json_reply({"id": name, "object": "response", "deleted": True})


@router.post("/v1/responses/{name}/cancel")
async def cancel(http: Request, name: str) -> Response:
    """End a response that is computed in the background."""
    server, owner = server_of(http), owner_of(http)
    entry = await _entry(server, name, owner)
    if not entry["told"]["background"]:
        raise FieldError("response_id", f"{name} is not computed in the background", "hang up instead")
    await _cancel(server, name)
    return json_reply((await _entry(server, name, owner))["told"])


async def _cancel(server: Server, name: str) -> None:
    work = server.works.get(name)
    if work is not None:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
