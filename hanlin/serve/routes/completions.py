"""/v1/completions: texts or ids in, continuations out, with the log-probabilities that outside scorers need."""

import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanlin.core.errors import HanlinError
from hanlin.infer import engine
from hanlin.infer.event import Event, Place
from hanlin.serve.answering import Beat, beating, prompt_json, submit, token_json, unless_gone
from hanlin.serve.errors import FieldError
from hanlin.serve.keeper import Ticket
from hanlin.serve.merged import merged
from hanlin.serve.pool import Served
from hanlin.serve.replies import Stream, broken, event, json_reply
from hanlin.serve.server import Held, Server, server_of
from hanlin.serve.settings import ServeSettings
from hanlin.serve.shapes.body import read, takes
from hanlin.serve.shapes.completion import CompletionBody

router = APIRouter()
DEFAULT_TOKENS = 16


@dataclass
class Told:
    """Old-style log-probabilities of one choice, as far as they have come: parallel lists."""

    tokens: list[str] = field(default_factory=list)
    token_logprobs: list[float | None] = field(default_factory=list)
    top_logprobs: list[dict[str, float] | None] = field(default_factory=list)
    text_offset: list[int] = field(default_factory=list)


@dataclass
class Work:
    """One prompt that was taken."""

    served: Served
    body: CompletionBody
    first: int
    """Index of its first choice."""
    ticket: Ticket
    places: list[Place] = field(default_factory=list)
    offset: int = 0
    """Characters told so far, for text_offset."""
    echoed: set[int] = field(default_factory=set)
    completion_tokens: int = 0
    offsets: dict[int, int] = field(default_factory=dict)

    async def items(self) -> AsyncIterator[tuple["Work", Event | Beat]]:
        """What comes of it; places of the prompt are kept."""
        async for item in beating(self.ticket):
            if isinstance(item, Place):
                self.places.append(item)
            else:
                yield self, item


@router.post("/v1/completions", openapi_extra=takes(CompletionBody))
async def completions(http: Request) -> Response:
    """Go on from texts or ids."""
    server = server_of(http)
    body, warnings = read(CompletionBody, await server.body(http))
    body.check()
    prompts = body.prompts()
    if len(prompts) * (body.n or 1) > server.settings.max_n * 8:
        limit = server.settings.max_n * 8
        raise FieldError("prompt", f"{len(prompts)} prompts × n {body.n or 1} exceed {limit}", "send fewer at once")
    async with server.taken(body.model, len(prompts)) as held:
        requests = [_request(held, body, prompt, server.settings) for prompt in prompts]
        tickets = await submit(held.served, requests)
        works = [Work(held.served, body, place * (body.n or 1), ticket) for place, ticket in enumerate(tickets)]
        base = {"id": f"cmpl-{secrets.token_hex(12)}", "object": "text_completion", "created": int(time.time())}
        base |= {"model": held.name}
        if body.stream:
            return Stream(_chunks(http, server, works, base, warnings), held.passed_on())
        told = await unless_gone(http, _whole(works))
        for work in works:
            server.finished(http, work.ticket, work.completion_tokens)
        extra = {"warnings": warnings} if warnings else {}
        return json_reply({**base, "choices": told, "usage": _usage(works), **extra})


def _request(held: Held, body: CompletionBody, prompt: str | list[int], settings: ServeSettings) -> engine.Request:
    served = held.served
    tokenizer = served.model.tokenizer
    if isinstance(prompt, str):
        ids = tokenizer.encode(prompt, add_special=body.add_special_tokens)
    else:
        ids = prompt
        wrong = next((token for token in ids if token >= tokenizer.vocab_size), None)
        if wrong is not None:
            what = f"token id {wrong} is not in the vocabulary"
            raise FieldError("prompt", what, f"ids run from 0 to {tokenizer.vocab_size - 1:,}")
    if not ids:
        raise FieldError("prompt", "the prompt has no tokens", "send at least one character")
    wanted = DEFAULT_TOKENS if body.max_tokens is None else max(1, body.max_tokens)
    sampling = body.sampling(len(ids), served.context, wanted, wanted, settings.max_n, logprobs=body.logprobs)
    tops = [count for count in (body.logprobs if body.echo else None, body.prompt_logprobs) if count is not None]
    return engine.Request(
        tuple(ids),
        sampling,
        body.response_format.constraint() if body.response_format else None,
        prompt_logprobs=max(tops) if tops else None,
        adapter=held.adapter,
        priority=body.priority,
        deadline_seconds=float(settings.request_seconds),
    )


def _usage(works: list[Work]) -> dict[str, Any]:
    prompt = sum(len(work.ticket.request.prompt) for work in works)
    answer = sum(work.completion_tokens for work in works)
    cached = sum(work.ticket.found for work in works)
    details = {"prompt_tokens_details": {"cached_tokens": cached}}
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer, **details}


async def _whole(works: list[Work]) -> list[dict[str, Any]]:
    choices: dict[int, dict[str, Any]] = {}
    async for work, item in merged([work.items() for work in works]):
        if isinstance(item, Event):
            part = _choice(work, item)
            choice = choices.setdefault(part["index"], part)
            if choice is not part:
                _join(choice, part)
    for work in works:
        if work.body.prompt_logprobs is not None:
            for index in range(work.first, work.first + (work.body.n or 1)):
                choices[index]["prompt_logprobs"] = _prompt_logprobs(work)
    return [choices[index] for index in sorted(choices)]


def _join(choice: dict[str, Any], part: dict[str, Any]) -> None:
    choice["text"] += part["text"]
    choice["finish_reason"] = part["finish_reason"]
    if choice["logprobs"] is not None:
        for name, values in part["logprobs"].items():
            choice["logprobs"][name] += values


async def _chunks(
    http: Request, server: Server, works: list[Work], base: dict[str, Any], warnings: list[str]
) -> AsyncIterator[str]:
    body = works[0].body
    wants_usage = body.stream_options is not None and body.stream_options.include_usage
    usage = {"usage": None} if wants_usage else {}
    extra = {"warnings": warnings} if warnings else {}
    rated: set[int] = set()
    try:
        async for work, item in merged([work.items() for work in works]):
            if isinstance(item, Beat):
                yield item.comment()
                continue
            part = _choice(work, item)
            if body.prompt_logprobs is not None and part["index"] not in rated:
                rated.add(part["index"])
                part["prompt_logprobs"] = _prompt_logprobs(work)
            if part["text"] or part["logprobs"] or part["finish_reason"]:
                yield event({**base, "choices": [part], **usage, **extra})
                extra = {}
        if wants_usage:
            yield event({**base, "choices": [], "usage": _usage(works)})
    except HanlinError as error:
        yield broken(error)
        return
    finally:  # as in chats
        for work in works:
            server.finished(http, work.ticket, work.completion_tokens)
    yield "data: [DONE]\n\n"


def _choice(work: Work, item: Event) -> dict[str, Any]:
    """What an event adds to its choice; the first one brings the prompt, if that is echoed."""
    body, told, text = work.body, Told(), ""
    is_first = item.index not in work.offsets
    if is_first:
        work.offsets[item.index] = 0
        if body.echo:
            text = _echo(work, item.index, told)
    is_kept = item.token >= 0 and not (body.echo and body.max_tokens == 0)
    if is_kept:
        work.completion_tokens += 1
        text += item.text
        if body.logprobs is not None:
            tops = {_text(work, one.token): one.logprob for one in item.top[: body.logprobs]}
            _tell(work, item.index, told, item.token, item.logprob, {**tops, _text(work, item.token): item.logprob})
    finish = "length" if body.max_tokens == 0 and item.finish else item.finish
    logprobs = vars(told) if body.logprobs is not None else None
    return {"index": work.first + item.index, "text": text, "logprobs": logprobs, "finish_reason": finish}


def _echo(work: Work, index: int, told: Told) -> str:
    prompt, count = work.ticket.request.prompt, work.body.logprobs
    if count is not None:
        _tell(work, index, told, prompt[0], None, None)
        for place in work.places:
            tops = {_text(work, one.token): one.logprob for one in place.top[:count]}
            tops.setdefault(_text(work, place.token), place.logprob)
            _tell(work, index, told, place.token, place.logprob, tops)
    return work.served.model.tokenizer.decode(prompt, skip_special=True)


def _tell(work: Work, index: int, told: Told, token: int, logprob: float | None, tops: dict[str, float] | None) -> None:
    text = _text(work, token)
    told.tokens.append(text)
    told.token_logprobs.append(logprob)
    told.top_logprobs.append(tops)
    told.text_offset.append(work.offsets[index])
    work.offsets[index] += len(text)


def _text(work: Work, token: int) -> str:
    return token_json(work.served.model.tokenizer, token, 0.0)["token"]


def _prompt_logprobs(work: Work) -> list[dict[str, Any] | None]:
    return prompt_json(work.served.model.tokenizer, 1, work.places)
