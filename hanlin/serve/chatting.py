"""Conversations: a chat request in; pieces of answers out, from which streams and whole answers are both made."""

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hanlin.core.errors import HanlinError, TokenizerError
from hanlin.infer.engine import Request
from hanlin.infer.event import Event, Place
from hanlin.serve.answering import Beat, beating, chat_logprob, prompt_json
from hanlin.serve.errors import FieldError
from hanlin.serve.keeper import Ticket
from hanlin.serve.pool import Served
from hanlin.serve.server import Held
from hanlin.serve.settings import ServeSettings
from hanlin.serve.shapes.chat import ChatBody
from hanlin.serve.tools.delta import CallArguments, CallBegin, Delta, Notice, TextDelta
from hanlin.serve.tools.parser import Parser
from hanlin.serve.tools.tool import Choice


@dataclass(frozen=True)
class Piece:
    """Something new of answer `index`."""

    index: int
    text: str = ""
    calls: tuple[dict[str, Any], ...] = ()
    """Parts of tool calls, as `delta.tool_calls` has them."""
    logprobs: tuple[dict[str, Any], ...] = ()
    finish: str | None = None
    stopped_by: str | None = None
    """The stop text that ended it."""


@dataclass
class Talk:
    """One chat request that was taken."""

    served: Served
    name: str
    """What answers are told to be of."""
    ticket: Ticket
    body: ChatBody
    parsers: list[Parser] | None
    warnings: list[str]
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))
    completion_tokens: int = 0
    places: list[Place] = field(default_factory=list)
    has_called: set[int] = field(default_factory=set)

    def usage(self) -> dict[str, Any]:
        """Counts of tokens."""
        prompt = len(self.ticket.request.prompt)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self.completion_tokens,
            "total_tokens": prompt + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.ticket.found},
        }

    def about(self) -> dict[str, Any]:
        """What every object of this answer says."""
        return {"id": self.id, "created": self.created, "model": self.name}

    def prompt_logprobs(self) -> list[dict[str, Any] | None] | None:
        """If they were asked for."""
        if self.body.prompt_logprobs is None:
            return None
        return prompt_json(self.served.model.tokenizer, 1, self.places)

    async def pieces(self) -> AsyncIterator[Piece | Beat]:
        """All that comes."""
        async for item in beating(self.ticket):
            if isinstance(item, Beat):
                yield item
            elif isinstance(item, Place):
                self.places.append(item)
            else:
                yield self._piece(item)

    def _piece(self, event: Event) -> Piece:
        self.completion_tokens += event.token >= 0
        wants = self.body.logprobs and event.token >= 0
        told = (chat_logprob(self.served.model.tokenizer, event),) if wants else ()
        if self.parsers is None:
            return Piece(event.index, event.text, (), told, event.finish, event.stopped_by)
        parser = self.parsers[event.index]
        deltas: list[Delta] = parser.push(event.text)
        if event.finish is not None:
            deltas += parser.finish()
        text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
        calls = tuple(_call(delta) for delta in deltas if isinstance(delta, CallBegin | CallArguments))
        self.warnings += [delta.what for delta in deltas if isinstance(delta, Notice)]
        if calls:
            self.has_called.add(event.index)
        finish = event.finish
        if finish == "stop" and event.index in self.has_called:
            finish = "tool_calls"
        return Piece(event.index, text, calls, told, finish, event.stopped_by)


def _call(delta: CallBegin | CallArguments) -> dict[str, Any]:
    if isinstance(delta, CallBegin):
        function = {"name": delta.name, "arguments": ""}
        return {"index": delta.index, "id": delta.id, "type": "function", "function": function}
    return {"index": delta.index, "function": {"arguments": delta.text}}


async def begin(held: Held, body: ChatBody, warnings: list[str], settings: ServeSettings) -> Talk:
    """Have a chat request taken.

    Raises:
        HanlinError: it cannot be honoured.
    """
    served = held.served
    tokenizer = served.model.tokenizer
    if tokenizer.template is None:
        raise TokenizerError(f"{served.name} has no chat template", "use /v1/completions, or serve a model that chats")
    constraint = body.response_format.constraint() if body.response_format else None
    tools, choice = _tools(body), _choice(body)
    kind = served.tools
    messages = kind.messages([turn.plain() for turn in body.messages], tools)
    shown: tuple[int, ...] = ()
    if tools and not served.has_grammars:
        what = f"the vLLM behind {served.name} does not read the grammars that hold calls to their schemas"
        raise FieldError("tools", what, "start it with --structured-outputs-config.backend guidance")
    if tools:
        warnings = [*warnings, *kind.notices]
        shown = kind.opening_tokens
        own = kind.constraint(tools, choice, parallel=body.parallel_tool_calls is not False)
        if own is not None and constraint is not None:
            raise FieldError("response_format", "response_format and tools both hold the answer", "send one of them")
        constraint = own or constraint
    prompt = _prompt(served, messages, tools if kind.renders_tools and tools else None)
    more = {"logprobs": body.tops(), "shown_tokens": shown or None}
    sampling = body.sampling(len(prompt), served.context, body.wanted, served.context, settings.max_n, **more)
    request = Request(
        tuple(prompt),
        sampling,
        constraint,
        prompt_logprobs=body.prompt_logprobs,
        adapter=held.adapter,
        priority=body.priority,
        deadline_seconds=float(settings.request_seconds),
    )
    ticket = await served.keeper.submit(request)
    is_strict = constraint is not None
    parsers = [kind.parser(tools, is_strict=is_strict) for _ in range(sampling.n)] if tools else None
    return Talk(served, held.name, ticket, body, parsers, warnings)


def _tools(body: ChatBody) -> list[dict[str, Any]]:
    if body.tool_choice == "none":
        return []
    return [tool.model_dump(exclude_none=True) for tool in body.tools or ()]


def _choice(body: ChatBody) -> Choice:
    """One of OpenAI's three words, or the function that must be called.

    Raises:
        FieldError: it asks for calls of what is not there.
    """
    choice = body.tool_choice
    if not body.tools and choice not in (None, "none"):
        raise FieldError("tool_choice", "tool_choice without tools", "send tools, or leave it out")
    if choice is None or isinstance(choice, str):
        return choice or "auto"
    names = [tool.function.name for tool in body.tools or ()]
    if choice.function.name not in names:
        what = f"tool_choice names {choice.function.name!r}, which is not among the tools"
        raise FieldError("tool_choice", what, f"name one of: {', '.join(names)}")
    return choice.model_dump()


def prompt_of(served: Served, body: ChatBody) -> list[int]:
    """The ids that a chat request begins from.

    Raises:
        HanlinError: the model has no template, or it refuses the conversation.
    """
    kind, tools = served.tools, _tools(body)
    messages = kind.messages([turn.plain() for turn in body.messages], tools)
    return _prompt(served, messages, tools if kind.renders_tools and tools else None)


def _prompt(served: Served, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] | None) -> list[int]:
    try:
        return served.model.tokenizer.chat(messages, tools=tools)
    except HanlinError as error:
        raise FieldError("messages", error.what, error.fix) from None
