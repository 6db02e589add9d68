"""/v1/chat/completions, streaming and not."""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanlin.core.errors import HanlinError
from hanlin.serve.answering import Beat, unless_gone
from hanlin.serve.chatting import Piece, Talk, begin
from hanlin.serve.replies import Stream, broken, event, json_reply
from hanlin.serve.server import Server, owner_of, server_of
from hanlin.serve.shapes.body import read, takes
from hanlin.serve.shapes.chat import ChatBody

router = APIRouter()


@router.post("/v1/chat/completions", openapi_extra=takes(ChatBody))
async def chat(http: Request) -> Response:
    """Answer a conversation."""
    server = server_of(http)
    body, warnings = read(ChatBody, await server.body(http))
    async with server.taken(body.model, body.n or 1) as held:
        talk = await begin(held, body, warnings, server.settings)
        if body.stream:
            return Stream(_chunks(http, server, talk), held.passed_on())
        told = await unless_gone(http, _whole(talk))
        server.finished(http, talk.ticket, talk.completion_tokens)
        if body.store:
            told["metadata"] = body.metadata or {}
            await server.state.keep_chat(told, owner_of(http), [turn.plain() for turn in body.messages])
        return json_reply(told)


async def _whole(talk: Talk) -> dict[str, Any]:
    answers: dict[int, dict[str, Any]] = {}
    for index in range(talk.ticket.request.sampling.n):
        answers[index] = {"text": "", "calls": {}, "logprobs": [], "finish": None}
    async for piece in talk.pieces():
        if isinstance(piece, Piece):
            _add(answers[piece.index], piece)
    choices = [
        {
            "index": index,
            "message": _message(answer),
            "logprobs": {"content": answer["logprobs"], "refusal": None} if talk.body.logprobs else None,
            "finish_reason": answer["finish"],
        }
        for index, answer in answers.items()
    ]
    told = {**talk.about(), "object": "chat.completion", "choices": choices, "usage": talk.usage()}
    if talk.body.prompt_logprobs is not None:
        told["prompt_logprobs"] = talk.prompt_logprobs()
    return told | ({"warnings": talk.warnings} if talk.warnings else {})


def _add(answer: dict[str, Any], piece: Piece) -> None:
    answer["text"] += piece.text
    answer["logprobs"] += piece.logprobs
    answer["finish"] = piece.finish or answer["finish"]
    for part in piece.calls:
        call = answer["calls"].setdefault(part["index"], {"function": {"name": "", "arguments": ""}})
        if "id" in part:
            call |= {"id": part["id"], "type": "function"}
            call["function"]["name"] = part["function"]["name"]
        call["function"]["arguments"] += part["function"]["arguments"]


def _message(answer: dict[str, Any]) -> dict[str, Any]:
    calls = [{"id": call["id"], "type": "function", "function": call["function"]} for call in answer["calls"].values()]
    message: dict[str, Any] = {"role": "assistant", "content": answer["text"], "refusal": None}
    if calls:
        message |= {"content": answer["text"] or None, "tool_calls": calls}
    return message


async def _chunks(http: Request, server: Server, talk: Talk) -> AsyncIterator[str]:
    """The same pieces as events."""
    base = {**talk.about(), "object": "chat.completion.chunk"}
    extra: dict[str, Any] = {"warnings": talk.warnings} if talk.warnings else {}
    wants_usage = talk.body.stream_options is not None and talk.body.stream_options.include_usage
    usage = {"usage": None} if wants_usage else {}
    try:
        for index in range(talk.ticket.request.sampling.n):
            delta = {"role": "assistant", "content": "", "refusal": None}
            yield event({**base, "choices": [_choice(index, delta)], **usage, **extra})
            extra = {}
        is_first = talk.body.prompt_logprobs is not None
        async for piece in talk.pieces():
            if isinstance(piece, Beat):
                yield piece.comment()
                continue
            more = {"prompt_logprobs": talk.prompt_logprobs()} if is_first else {}
            is_first = False
            for choice in _choices(piece, bool(talk.body.logprobs)):
                yield event({**base, "choices": [choice], **usage, **more})
                more = {}
        if wants_usage:
            yield event({**base, "choices": [], "usage": talk.usage()})
    except HanlinError as error:
        yield broken(error)
        return
    finally:  # before the end is told: clients hang up at [DONE], and who hangs up sooner has had what it had
        talk.ticket.cancel()
        server.finished(http, talk.ticket, talk.completion_tokens)
    yield "data: [DONE]\n\n"


def _choices(piece: Piece, has_logprobs: bool) -> list[dict[str, Any]]:
    """None for a piece of which nothing is to be told yet."""
    told = []
    logprobs = {"content": list(piece.logprobs), "refusal": None} if has_logprobs else None
    if piece.text or piece.logprobs:
        told.append(_choice(piece.index, {"content": piece.text}, logprobs))
    told += [_choice(piece.index, {"tool_calls": [call]}) for call in piece.calls]
    if piece.finish is not None:
        told.append(_choice(piece.index, {}, None, piece.finish))
    return told


def _choice(index: int, delta: dict[str, Any], logprobs: Any = None, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
