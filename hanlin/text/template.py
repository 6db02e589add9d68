"""Chat templates: a conversation in, the text its model was trained to continue out, byte for byte as Transformers'.

A template is a Jinja program that came with the model, so it is a stranger's code. It runs in `hanlin.text.sandbox`:
no file, no import, no Python internals, and a budget of work and memory.
The variables it sees: https://huggingface.co/docs/transformers/chat_templating_writing
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hanlin.core.errors import RefusedError, TokenizerError, shown
from hanlin.text.message import Message

GENERATION = re.compile(r"\{%[-+]?\s*generation\b")
OPENS, CLOSES = "\ufdd0", "\ufdd1"
"""Letters that Unicode keeps out of texts, to mark a place in one."""
REASONING = ("reasoning_content", "thinking", "reasoning")


@dataclass(frozen=True)
class ChatTemplate:
    """A model's chat format: its Jinja source and the special tokens it may name."""

    source: str
    """The template for plain conversations."""
    special: Mapping[str, str] = field(default_factory=dict)
    """Names a template uses for special tokens: `bos_token`, `eos_token` and so on."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Further templates by name; `tool_use` is taken when there are tools."""

    def render(
        self,
        messages: Sequence[Message | Mapping[str, Any]],
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        **variables: Any,
    ) -> str:
        """The conversation as text; `add_generation_prompt` opens the answer. Further variables go to the template.

        Raises:
            TokenizerError: there is no message, or the template refuses these messages (in its own words) or is wrong.
            RefusedError: the template reaches for what it must not have, or for more than its budget.
        """
        from hanlin.text import sandbox  # Jinja is slow to import, and a plain prompt needs none

        return sandbox.render(*self._program(messages, add_generation_prompt, tools, documents, variables))

    def generated(
        self, messages: Sequence[Message | Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> list[tuple[int, int]]:
        """What the template itself marks by `{% generation %}` as the assistant's words, for training.

        First character and the one after the last, in `render(messages, False, tools)`; nothing if it marks nothing.

        Raises:
            TokenizerError: as `render`; or the template goes on to change what it has marked.
            RefusedError: as `render`.
        """
        if not GENERATION.search(self.named.get("tool_use", self.source) if tools is not None else self.source):
            return []
        from hanlin.text import sandbox

        program = self._program(messages, False, tools, None, {})
        whole = sandbox.render(*program)
        opens, closes = OPENS, CLOSES
        while opens in whole or closes in whole:
            opens, closes = opens * 2, closes * 2
        spans: list[tuple[int, int]] = []
        text, *rest = sandbox.render(*program, (opens, closes)).split(opens)
        for part in rest:
            body, _, after = part.partition(closes)
            spans.append((len(text), len(text) + len(body)))
            text += body + after
        if text != whole:
            what = "the chat template changes what it marks by {% generation %}"
            raise TokenizerError(what, "take the marks out of the template, or keep them outside of filters")
        return spans

    def _program(
        self,
        messages: Sequence[Message | Mapping[str, Any]],
        add_generation_prompt: bool,
        tools: Sequence[Mapping[str, Any]] | None,
        documents: Sequence[Mapping[str, Any]] | None,
        variables: Mapping[str, Any],
    ) -> tuple[str, dict[str, Any]]:
        """The template for these messages, and the variables it sees."""
        if not messages:
            raise TokenizerError("the conversation is empty", "give at least one message")
        source = self.named.get("tool_use", self.source) if tools is not None else self.source
        given = {"tools": tools, "documents": documents, "add_generation_prompt": add_generation_prompt, **variables}
        values = {name: plain(value, name) for name, value in {**self.special, **given}.items()}
        return source, {**values, "messages": [_turn(message) for message in messages]}


def _turn(message: Message | Mapping[str, Any]) -> dict[str, Any]:
    """A message as templates expect it: no key without a value, reasoning under each name it goes by."""
    given = message.plain() if isinstance(message, Message) else message
    turn = {key: plain(value, f"messages.{key}") for key, value in given.items() if value is not None}
    reasoning = next((turn[name] for name in REASONING if name in turn), None)
    return turn if reasoning is None else {"thinking": reasoning, **turn, "reasoning_content": reasoning}


def plain(value: Any, name: str) -> Any:
    """A copy of a value made only of what JSON knows, so that a template meets no object with methods of its own.

    Raises:
        RefusedError: it holds anything else.
    """
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {plain(key, name): plain(inner, name) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner, name) for inner in value]
    raise RefusedError(
        f"{name} holds {shown(value)}, which is not plain data", "give a template text, numbers, lists and mappings"
    )
