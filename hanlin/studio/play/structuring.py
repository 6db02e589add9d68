"""Constrained output: an editor for what the answer must be, checked as one types; the answer as it comes."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from nicegui import ui

from hanlin.core.errors import HanlinError
from hanlin.infer import constraint
from hanlin.infer.constraint import Constraint
from hanlin.infer.event import Event
from hanlin.studio.asking import Ask, answers
from hanlin.studio.parts import action, box, labelled, words
from hanlin.studio.play.bench import Bench
from hanlin.studio.words import common, playground
from hanlin.studio.work import Work

CITY = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 30},
        "country": {"enum": ["France", "Germany", "Italy"]},
        "inhabitants": {"type": "integer"},
        "sights": {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 3},
    },
    "required": ["name", "country", "inhabitants", "sights"],
    "additionalProperties": False,
}
FIRST = {
    "json_schema": json.dumps(CITY, indent=2),
    "regex": r"(Paris|Lyon|Nice), founded in \d{3,4}",
    "grammar": 'start: city " is in the " side " of France."\ncity: "Paris" | "Nice"\nside: "north" | "south" | "east"',
}
MAKE: dict[str, Callable[[str], Constraint]] = {
    "json_schema": constraint.json_schema,
    "regex": constraint.regex,
    "grammar": constraint.grammar,
}
MOST = 400


class Structuring:
    """In the current slot."""

    path = "/v1/chat/completions"

    def __init__(self, bench: Bench) -> None:
        self.bench, say = bench, bench.visitor.say
        with box("two"):
            with box("card", "section"):
                kinds = {name: say(word) for name, word in playground.KINDS.items()}
                self.kind = ui.select(kinds, value="json_schema", label=say(playground.KIND), on_change=self._other)
                self.kind.props("outlined dense options-dense")
                labelled(self.kind, say(playground.KIND))
                self.source = ui.textarea(say(playground.SCHEMA), value=FIRST["json_schema"]).classes("mono")
                self.source.props('outlined autogrow spellcheck="false" debounce=250')
                self.source.on_value_change(self._check)
                labelled(self.source, say(playground.SCHEMA))
                self.verdict = words("p", "", "help")
                self.verdict.props["role"] = "status"
            with box("card", "section"):
                self.question = ui.textarea(say(playground.QUESTION), value=say(playground.QUESTION_DEFAULT))
                self.question.props("outlined autogrow dense").on_value_change(bench.tell)
                labelled(self.question, say(playground.QUESTION))
                with box("line-up"):
                    self.go = action(say(playground.ANSWER), self._run, "play_arrow", "primary")
                    self.halt = action(say(common.STOP), lambda: self.work.stop(), "stop")
                self.out = words("pre", "", "out")
                self.out.props["aria-label"] = say(playground.ANSWER)
        self.work = Work(bench.visitor, self._working)
        self._working(False)
        ui.timer(0.1, self._check, once=True)

    def body(self) -> dict[str, Any]:
        """As the API takes it."""
        kind, source = str(self.kind.value), self.source.value or ""
        form: dict[str, Any] = {"type": kind, kind: source}
        if kind == "json_schema":
            try:
                form = {"type": kind, kind: {"name": "answer", "schema": json.loads(source)}}
            except ValueError:
                form = {"type": "json_object"}
        turns = [{"role": "user", "content": self.question.value or ""}]
        return {"model": self.bench.model, "messages": turns, "temperature": 0, "response_format": form}

    def _other(self, event: Any) -> None:
        self.source.value = FIRST[event.value]

    async def _check(self, _: Any = None) -> None:
        say, source = self.bench.visitor.say, self.source.value or ""
        try:
            await asyncio.to_thread(MAKE[str(self.kind.value)], source)
        except HanlinError as error:
            self.verdict.text = f"{error.what} – {error.fix}"
            self.verdict.classes(replace="help notice")
        else:
            self.verdict.text = f"✓ {say(playground.VALID)}"
            self.verdict.classes(replace="help valid")
        self.bench.tell()

    def _working(self, is_on: bool) -> None:
        self.halt.set_visibility(is_on)
        self.go.set_visibility(not is_on)

    def _run(self) -> None:
        self.out.text = ""
        self.work.start(self._answer())

    async def _answer(self) -> None:
        kind, source = str(self.kind.value), self.source.value or ""
        turns = [{"role": "user", "content": self.question.value or ""}]
        ask = Ask(self.bench.model, turns, {"max_tokens": MOST}, constraint=lambda: MAKE[kind](source))
        async for item in answers(self.bench.visitor, ask):
            if isinstance(item, Event):
                self.out.text += item.text
