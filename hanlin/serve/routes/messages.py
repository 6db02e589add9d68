"""/v1/messages and /v1/messages/count_tokens: the same conversations in Anthropic's shape."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanlin.core.errors import HanlinError
from hanlin.serve import errors
from hanlin.serve.answering import Beat, unless_gone
from hanlin.serve.chatting import Piece, Talk, begin, prompt_of
from hanlin.serve.replies import Stream, event, json_reply
from hanlin.serve.server import Server, server_of
from hanlin.serve.shapes.body import read, takes
from hanlin.serve.shapes.messages import CountBody, MessagesBody

router = APIRouter()
REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def _error(error: HanlinError) -> dict[str, Any]:
    plain = errors.as_json(error)["error"]
    kinds = {404: "not_found_error", 429: "rate_limit_error", 503: "overloaded_error", 500: "api_error"}
    kind = kinds.get(errors.status(error), "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": plain["message"]}}


@router.post("/v1/messages/count_tokens", openapi_extra=takes(CountBody))
async def count(http: Request) -> Response:
    """How many tokens a conversation has."""
    server = server_of(http)
    try:
        body, _ = read(CountBody, await server.body(http))
        async with server.pool.lease(body.model) as served:
            prompt = prompt_of(served, body.chat())
            return json_reply({"input_tokens": len(prompt)})
    except HanlinError as error:
        return json_reply(_error(error), errors.status(error))


@router.post("/v1/messages", openapi_extra=takes(MessagesBody))
async def messages(http: Request) -> Response:
    """Answer a conversation."""
    server = server_of(http)
    try:
        body, warnings = read(MessagesBody, await server.body(http))
        async with server.taken(body.model) as held:
            talk = await begin(held, body.request(), warnings, server.settings)
            if body.stream:
                return Stream(_events(http, server, talk), held.passed_on())
            told = await unless_gone(http, _whole(talk))
            server.finished(http, talk.ticket, talk.completion_tokens)
            return json_reply(told | ({"warnings": talk.warnings} if talk.warnings else {}))
    except HanlinError as error:
        wait = {"Retry-After": str(error.seconds)} if isinstance(error, errors.BusyError) else None
        return json_reply(_error(error), errors.status(error), wait)


def _usage(talk: Talk) -> dict[str, int]:
    found = talk.ticket.found
    read_now = len(talk.ticket.request.prompt) - found
    usage = {"input_tokens": read_now, "cache_read_input_tokens": found, "cache_creation_input_tokens": 0}
    return {**usage, "output_tokens": talk.completion_tokens}


def _base(talk: Talk) -> dict[str, Any]:
    about = {"id": f"msg_{talk.id.removeprefix('chatcmpl-')}", "type": "message", "role": "assistant"}
    return {**about, "model": talk.name}


def _reason(piece: Piece) -> dict[str, Any]:
    if piece.stopped_by is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": piece.stopped_by}
    return {"stop_reason": REASONS[piece.finish or "stop"], "stop_sequence": None}


async def _whole(talk: Talk) -> dict[str, Any]:
    """The blocks in their order, as the stream opens them."""
    content: list[dict[str, Any]] = []
    reason: dict[str, Any] = {}
    async for piece in talk.pieces():
        if isinstance(piece, Beat):
            continue
        for part in _parts(piece):
            if part[0] == "text":
                if not content or content[-1]["type"] != "text":
                    content.append({"type": "text", "text": ""})
                content[-1]["text"] += part[1]
            elif part[0] == "begin":
                content.append({"type": "tool_use", "id": part[1]["id"], "name": part[1]["name"], "input": ""})
            else:
                content[-1]["input"] += part[1]
        if piece.finish:
            reason = _reason(piece)
    for block in content:
        if block["type"] == "tool_use":
            block["input"] = _object(block["input"], talk)
    return {**_base(talk), "content": content, **reason, "usage": _usage(talk)}


def _object(text: str, talk: Talk) -> Any:
    try:
        return orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        talk.warnings.append(f"the arguments of a call were cut: {text}")
        return {}


def _parts(piece: Piece) -> list[tuple[str, Any]]:
    parts: list[tuple[str, Any]] = [("text", piece.text)] if piece.text else []
    for call in piece.calls:
        if "id" in call:
            parts.append(("begin", {"id": call["id"], "name": call["function"]["name"]}))
        if call["function"]["arguments"]:
            parts.append(("input", call["function"]["arguments"]))
    return parts


async def _events(http: Request, server: Server, talk: Talk) -> AsyncIterator[str]:
    """Blocks opened, filled and closed one after another."""
    start = {**_base(talk), "content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage(talk)}
    yield _event("message_start", message=start)
    index, kind = -1, ""
    reason: dict[str, Any] = {}
    try:
        async for piece in talk.pieces():
            if isinstance(piece, Beat):
                yield _event("ping")
                continue
            for name, value in _parts(piece):
                if name == "begin" or (name == "text" and kind != "text"):
                    if index >= 0:
                        yield _event("content_block_stop", index=index)
                    index, kind = index + 1, "text" if name == "text" else "tool_use"
                    block = {"text": ""} if name == "text" else {**value, "input": {}}
                    yield _event("content_block_start", index=index, content_block={"type": kind, **block})
                if name == "text":
                    yield _event("content_block_delta", index=index, delta={"type": "text_delta", "text": value})
                if name == "input":
                    delta = {"type": "input_json_delta", "partial_json": value}
                    yield _event("content_block_delta", index=index, delta=delta)
            if piece.finish:
                reason = _reason(piece)
    except HanlinError as error:
        yield event(_error(error), "error")
        return
    finally:  # as in chats
        server.finished(http, talk.ticket, talk.completion_tokens)
    if index >= 0:
        yield _event("content_block_stop", index=index)
    yield _event("message_delta", delta=reason, usage=_usage(talk))
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> str:
    return event({"type": kind, **fields}, kind)
