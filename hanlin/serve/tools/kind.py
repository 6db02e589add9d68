"""How one model is told of tools and calls them: its tokenizer in; messages, constraints and parsers out."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

from hanlin.core import plugins
from hanlin.core.errors import ConfigError, TokenizerError, shown
from hanlin.infer.constraint import Constraint
from hanlin.serve.tools import grammar, plain
from hanlin.serve.tools.form import MARKS, Form, probe
from hanlin.serve.tools.kinds import hermes
from hanlin.serve.tools.parser import Parser
from hanlin.serve.tools.tool import Choice, read, wanted
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer

FOLDER = "hanlin.serve.tools.kinds"
PLAIN = "plain"
OWN_FORM = (
    "its chat template writes no calls of tools in a form known here: they are described to it in Hermes' form, "
    "and held to one call a turn"
)
OWN_WORDS = "its chat template does not describe tools: a system message does"


@dataclass(frozen=True, eq=False)
class ToolKind:
    """The form of one model's calls, and what its template does by itself."""

    name: str
    """A file of hanlin/serve/tools/kinds, or "plain" where the template knows no calls."""
    renders_tools: bool
    """The template describes tools itself: give them to `tokenizer.chat`; otherwise `messages` does."""
    notices: tuple[str, ...]
    """What a user should know, if the model is given tools."""
    opening_tokens: tuple[int, ...]
    """Special tokens that the parser must see: `Sampling.shown_tokens`."""
    form: Form
    has_system: bool
    """The template takes system messages."""
    _file: ModuleType
    _special: grammar.Special

    def messages(
        self, messages: Sequence[Message | Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[dict[str, Any]]:
        """The conversation as the template needs it: arguments as objects, ids as it takes them; tools described and
        calls spelled out where it does neither itself.

        Raises:
            ConfigError: a call is no call, or its arguments are no JSON object.
        """
        turns = [self._turn(place, message) for place, message in enumerate(messages)]
        if self.name == PLAIN:
            turns = plain.without_calls(turns)
        if tools and turns and not self.renders_tools:
            read(tools)
            return plain.with_description(turns, plain.described(tools), self.has_system)
        return turns

    def constraint(
        self, tools: Sequence[Mapping[str, Any]], choice: Choice = "auto", parallel: bool = True
    ) -> Constraint | None:
        """What an answer must be, for a `tool_choice`; None where it is free. Arguments satisfy their tool's schema.

        Without `parallel`, and for models that make one call at a time, there is at most one call.

        Raises:
            ConfigError: a tool or the choice is wrong, or a schema has a keyword that is not enforced, which is named.
        """
        return grammar.constraint(self.form, wanted(choice, read(tools)), parallel, self._special)

    def parser(
        self, tools: Sequence[Mapping[str, Any]], *, is_strict: bool = False, rng: random.Random | None = None
    ) -> Parser:
        """A reader of one answer. With tool_choice "none" make no parser: what is said is text.

        Args:
            is_strict: the answer follows `constraint`, so arguments are told as they come; else when they are whole.
            rng: where ids of calls come from; None for the system's entropy.
        """
        names = [tool.name for tool in read(tools)]
        return Parser(self._file, names, is_strict, rng or random.SystemRandom())

    def _turn(self, place: int, message: Message | Mapping[str, Any]) -> dict[str, Any]:
        turn = message.plain() if isinstance(message, Message) else dict(message)
        if turn.get("tool_call_id"):
            turn["tool_call_id"] = self._file.fitting_id(str(turn["tool_call_id"]))
        if turn.get("tool_calls"):
            where = f"messages[{place}].tool_calls"
            turn["tool_calls"] = [self._call(f"{where}[{n}]", call) for n, call in enumerate(turn["tool_calls"])]
        return turn

    def _call(self, where: str, call: Mapping[str, Any]) -> dict[str, Any]:
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            fix = 'write {"id": …, "type": "function", "function": {"name": …, "arguments": …}}'
            raise ConfigError(f"{where} = {shown(call)} is no call of a tool", fix)
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except (ValueError, RecursionError):
                arguments = None
        if not isinstance(arguments, Mapping):
            what = f"{where}.function.arguments = {shown(function['arguments'])} is no JSON object"
            raise ConfigError(what, "send arguments back as they came, or leave out a call that was cut")
        made = {**call, "function": {**function, "arguments": dict(arguments)}}
        return {**made, "id": self._file.fitting_id(str(call["id"]))} if call.get("id") else made


def kind_of(tokenizer: Tokenizer) -> ToolKind:
    """How a model calls tools, by what its chat template writes of a conversation with calls.

    Raises:
        TokenizerError: it has no chat template.
    """
    if tokenizer.template is None:
        raise TokenizerError("this model has no chat template, so it knows no tools", "take an instruction-tuned model")
    probed = probe(tokenizer.template)
    for name in plugins.names(FOLDER):
        file = plugins.find(FOLDER, name)
        form = file.recognise(probed) if probed.has_results else None
        if form is not None:
            notices = () if probed.has_tools else (OWN_WORDS,)
            break
    else:
        name, file, notices = PLAIN, hermes, (OWN_FORM,)
        form = replace(hermes.FORM, between=None)  # a model that was not taught calls goes on calling
    marks = {*file.OPENINGS, *MARKS.findall(form.first + form.before + form.middle + form.after + form.last)}
    shown_tokens = {token for mark in marks if (token := special(tokenizer, mark)) is not None}
    kept = {*tokenizer.eos, *shown_tokens}
    added = tokenizer.backend.get_added_tokens_decoder()
    free = sorted(token for token in added if tokenizer.is_special(token) and token not in kept)
    return ToolKind(
        name,
        renders_tools=probed.has_tools and name != PLAIN,
        notices=notices,
        opening_tokens=tuple(sorted(shown_tokens)),
        form=form,
        has_system=probed.has_system,
        _file=file,
        _special=grammar.Special(partial(special, tokenizer), free),
    )


def special(tokenizer: Tokenizer, text: str) -> int | None:
    """The id of a text that is one special token."""
    token = tokenizer.backend.token_to_id(text)
    return token if token is not None and tokenizer.is_special(token) else None
