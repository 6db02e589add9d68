"""A vLLM server as its protocol has it (version 0.11 on), computed by an engine of ours: /v1/completions streaming and
not, /v1/models, /tokenize, /version; its refusals, its silence about unknown fields, its ways to die.
"""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as Http
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hanlin.core.errors import HanlinError
from hanlin.infer.constraint import Constraint
from hanlin.infer.engine import Engine, EngineSettings, Request
from hanlin.infer.event import Event, Place
from hanlin.infer.model import Model
from hanlin.infer.sampling import Sampling
from hanlin.serve.keeper import Keeper, Ticket

NAME = "org/tiny"
KNOWN = (
    "temperature top_p top_k min_p n max_tokens min_tokens repetition_penalty frequency_penalty presence_penalty seed"
)


@dataclass
class Fake:
    """One, and what a test does to it."""

    model: Model
    context: int
    version: str = "0.11.2"
    key: str | None = None
    has_guidance: bool = True
    dies_after: int | None = None
    """Tokens, after which the connection breaks."""
    fails_after: int | None = None
    """Tokens, after which an error comes on the stream."""
    adapters: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    _keeper: Keeper | None = None

    @property
    def keeper(self) -> Keeper:
        if self._keeper is None:
            network = self.model.network
            engine = Engine(network.plan, self.model.tokenizer, self.context, EngineSettings(streams=4), network.config)
            self._keeper = Keeper(engine)
        return self._keeper

    def error(self, status: int, message: str, param: str | None = None) -> Response:
        told = {"message": message, "type": "BadRequestError", "param": param, "code": status}
        return JSONResponse({"error": told}, status)

    def app(self) -> Starlette:
        paths = {"/version": self._version, "/v1/models": self._models}
        routes = [Route(path, answer) for path, answer in paths.items()]
        routes += [Route("/tokenize", self._tokenize, methods=["POST"])]
        return Starlette(routes=[*routes, Route("/v1/completions", self._completions, methods=["POST"])])

    async def _version(self, http: Http) -> Response:
        return JSONResponse({"version": self.version})

    async def _models(self, http: Http) -> Response:
        if self.key and http.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": "Unauthorized"}, 401)
        base = {"id": NAME, "object": "model", "root": NAME, "parent": None, "max_model_len": self.context}
        more = [{"id": name, "object": "model", "root": f"/{name}", "parent": NAME} for name in self.adapters]
        return JSONResponse({"object": "list", "data": [base, *more]})

    async def _tokenize(self, http: Http) -> Response:
        given = await http.json()
        tokens = self.model.tokenizer.encode(given["prompt"], add_special=given["add_special_tokens"])
        return JSONResponse({"tokens": tokens, "count": len(tokens), "max_model_len": self.context})

    async def _completions(self, http: Http) -> Response:
        given = await http.json()
        self.asked.append(given)
        if given["model"] not in (NAME, *self.adapters):
            return self.error(404, f"The model `{given['model']}` does not exist.")
        if given.get("stream") and given.get("prompt_logprobs"):
            return self.error(400, "`prompt_logprobs` are not available when `stream=True`.", "prompt_logprobs")
        if "grammar" in given.get("structured_outputs", {}) and not self.has_guidance:
            return self.error(400, "Invalid grammar specification.")
        if given.get("priority"):
            return self.error(400, "Got priority 3 but Priority scheduling is not enabled.", "priority")
        try:
            ticket = await self.keeper.submit(self._request(given))
        except HanlinError as error:
            return self.error(400, error.what)
        if given.get("stream"):
            return StreamingResponse(self._stream(ticket, given), media_type="text/event-stream")
        return JSONResponse(await self._whole(ticket, given))

    def _request(self, given: dict[str, Any]) -> Request:
        sampling = {name: given[name] for name in KNOWN.split() if name in given}
        tokenizer = self.model.tokenizer
        if not given.get("skip_special_tokens", True):
            count = tokenizer.vocab_size
            sampling["shown_tokens"] = [one for one in range(count) if tokenizer.is_special(one)]
        sampling |= {"stop": given.get("stop", []), "logprobs": given.get("logprobs")}
        sampling["logit_bias"] = {int(token): bias for token, bias in given.get("logit_bias", {}).items()}
        sampling["allowed_tokens"] = given.get("allowed_token_ids", [])
        held = given.get("structured_outputs")
        constraint = None
        if held:
            ((kind, source),) = held.items()
            source = source if isinstance(source, str) else json.dumps(source)
            constraint = Constraint("json_schema" if kind == "json" else kind, source)
        prompt = given["prompt"]
        prompt = tuple(tokenizer.encode(prompt) if isinstance(prompt, str) else prompt)
        settings = Sampling.model_validate({name: value for name, value in sampling.items() if value is not None})
        return Request(prompt, settings, constraint, prompt_logprobs=given.get("prompt_logprobs"))

    def _choice(self, event: Event, given: dict[str, Any]) -> dict[str, Any]:
        tokens = [event.token] if event.token >= 0 else []
        logprobs = None
        if given.get("logprobs") is not None:
            tops = {event.token: event.logprob} | {top.token: top.logprob for top in event.top}
            logprobs = {
                "tokens": [f"token_id:{token}" for token in tokens],
                "token_logprobs": [event.logprob for _ in tokens],
                "top_logprobs": [{f"token_id:{token}": worth for token, worth in tops.items()} for _ in tokens],
                "text_offset": [0 for _ in tokens],
            }
        choice = {"index": event.index, "text": event.text, "logprobs": logprobs, "finish_reason": event.finish}
        return {**choice, "stop_reason": event.stopped_by, "token_ids": tokens}

    async def _stream(self, ticket: Ticket, given: dict[str, Any]) -> AsyncIterator[str]:
        count = 0
        async for event in ticket:
            if not isinstance(event, Event):
                continue
            base = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": NAME}
            yield f"data: {json.dumps({**base, 'choices': [self._choice(event, given)]})}\n\n"
            count += 1
            if self.dies_after == count:
                raise ConnectionAbortedError
            if self.fails_after == count:
                error = {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "code": 500}
                yield f"data: {json.dumps({'error': error})}\n\ndata: [DONE]\n\n"
                return
        usage = {"prompt_tokens": len(ticket.request.prompt), "prompt_tokens_details": {"cached_tokens": ticket.found}}
        yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
        yield "data: [DONE]\n\n"

    async def _whole(self, ticket: Ticket, given: dict[str, Any]) -> dict[str, Any]:
        choices: dict[int, dict[str, Any]] = {}
        rated: list[Any] = [None]
        async for item in ticket:
            if isinstance(item, Place):
                entry = {item.token: (item.logprob, item.rank)}
                for rank, top in enumerate(item.top, 1):
                    entry.setdefault(top.token, (top.logprob, rank))
                told = {str(token): {"logprob": one, "rank": rank} for token, (one, rank) in entry.items()}
                rated.append(told)
                continue
            part = self._choice(item, given)
            whole = choices.setdefault(item.index, part)
            if whole is not part:
                whole["text"] += part["text"]
                whole["token_ids"] += part["token_ids"]
                for name, values in (part["logprobs"] or {}).items():
                    whole["logprobs"][name] += values
                whole |= {name: part[name] for name in ("finish_reason", "stop_reason")}
        for choice in choices.values():
            choice["prompt_logprobs"] = rated
        return {"choices": [choices[index] for index in sorted(choices)], "usage": {}}


@contextmanager
def fake_vllm(model: Model, context: int, **given: Any) -> Iterator[Fake]:
    """It listens until the block ends."""
    fake = Fake(model, context, **given)
    door = socket.create_server(("127.0.0.1", 0))
    web = uvicorn.Server(uvicorn.Config(fake.app(), log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(web.serve([door])), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{door.getsockname()[1]}"
    try:
        yield fake
    finally:
        web.should_exit = True
        thread.join(10)
        fake.keeper.close()
