"""Chat completions that were stored: listed, read and deleted."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanlin.serve.errors import GoneError
from hanlin.serve.replies import json_reply
from hanlin.serve.server import owner_of, server_of
from hanlin.serve.state import CHATS

router = APIRouter()


@router.get("/v1/chat/completions")
async def stored(http: Request) -> Response:
    """The newest ones."""
    entries = await server_of(http).state.all_of(CHATS, owner_of(http))
    return json_reply({"object": "list", "data": [entry["told"] for entry in entries], "has_more": False})


@router.get("/v1/chat/completions/{name}")
async def one(http: Request, name: str) -> Response:
    """One of them."""
    entry = await server_of(http).state.find(CHATS, name, owner_of(http))
    if entry is None:
        raise GoneError(f"there is no stored chat completion {name!r}", 'send "store": true with a request')
    return json_reply(entry["told"])


@router.get("/v1/chat/completions/{name}/messages")
async def messages(http: Request, name: str) -> Response:
    """What it was asked with."""
    entry = await server_of(http).state.find(CHATS, name, owner_of(http))
    if entry is None:
        raise GoneError(f"there is no stored chat completion {name!r}", 'send "store": true with a request')
    data = [{"id": f"{name}-{place}", **turn} for place, turn in enumerate(entry["messages"])]
    return json_reply({"object": "list", "data": data, "has_more": False})


@router.delete("/v1/chat/completions/{name}")
async def delete(http: Request, name: str) -> Response:
    """Forget it."""
    if not await server_of(http).state.drop(CHATS, name, owner_of(http)):
        raise GoneError(f"there is no stored chat completion {name!r}", "it was deleted, or never stored")
    return json_reply({"id": name, "object": "chat.completion.deleted", "deleted": True})
