"""Completion with its probabilities, and the tree of what could come."""

import html
import math
from typing import Any

from nicegui import ui

from hanlin.infer.event import Event
from hanlin.studio.asking import Ask, Taken, answers
from hanlin.studio.chat import tokens
from hanlin.studio.chat.tree import Said
from hanlin.studio.parts import action, box, labelled, words
from hanlin.studio.play.bench import Bench
from hanlin.studio.words import common, playground
from hanlin.studio.work import Work

BRANCHES = 6


class Completing:
    """In the current slot."""

    path = "/v1/completions"

    def __init__(self, bench: Bench) -> None:
        self.bench, say = bench, bench.visitor.say
        self.steps: list[list[Said]] = []
        self.taken: list[tuple[int, str, float]] = []
        with box("two"):
            with box("card", "section"):
                self.prompt = ui.textarea(say(playground.PROMPT), value=say(playground.PROMPT_DEFAULT))
                self.prompt.props("outlined autogrow").on_value_change(bench.tell)
                labelled(self.prompt, say(playground.PROMPT))
                with box("line-up"):
                    self.most = ui.number(say(playground.TOKENS), value=40, min=1, on_change=bench.tell)
                    self.heat = ui.number(say(playground.TEMPERATURE), value=0, min=0, step=0.1, on_change=bench.tell)
                    for one in (self.most, self.heat):
                        one.props("outlined dense").classes("narrow")
                with box("line-up"):
                    self.go = action(say(playground.RUN), self._run, "play_arrow", "primary")
                    self.halt = action(say(common.STOP), lambda: self.work.stop(), "stop")
                    self.grow = action(say(playground.TREE_GO), self._tree, "account_tree")
            with box("card", "section"):
                words("h2", say(playground.RESULT))
                self.out = ui.html("", sanitize=False)
                words("p", say(playground.HINT), "help")
        with box("card", "section"):
            words("h2", say(playground.TREE))
            words("p", say(playground.TREE_HELP), "help")
            self.tree = box("tree")
        self.work = Work(bench.visitor, self._working)
        self._working(False)

    def body(self) -> dict[str, Any]:
        """As the API takes it."""
        settings = {"max_tokens": int(self.most.value or 16), "temperature": self.heat.value or 0}
        return {"model": self.bench.model, "prompt": self.prompt.value or "", **settings}

    def _working(self, is_on: bool) -> None:
        self.halt.set_visibility(is_on)
        self.go.set_visibility(not is_on)

    def _run(self) -> None:
        self.work.start(self._go_on())

    async def _go_on(self) -> None:
        say, came = self.bench.visitor.say, []
        tokenizer: Any = None
        settings = {"max_tokens": int(self.most.value or 16), "temperature": self.heat.value or 0, "logprobs": 8}
        begin = f'<span class="given">{html.escape(self.prompt.value or "")}</span>'
        async for item in answers(self.bench.visitor, Ask(self.bench.model, self.prompt.value or "", settings)):
            if isinstance(item, Taken):
                tokenizer = item.tokenizer
            elif isinstance(item, Event) and item.token >= 0:
                came.append(tokens.said(tokenizer, item))
                self.out.content = begin + tokens.view(came, say(playground.RESULT), "")

    def _tree(self) -> None:
        self.steps, self.taken = [], []
        self.work.start(self._look())

    async def _look(self) -> None:
        """What may come after the tokens that were chosen so far."""
        begun = tuple(one[0] for one in self.taken)
        ask = Ask(self.bench.model, self.prompt.value or "", {"max_tokens": 1, "logprobs": BRANCHES}, begun)
        tokenizer: Any = None
        async for item in answers(self.bench.visitor, ask):
            if isinstance(item, Taken):
                tokenizer = item.tokenizer
            elif isinstance(item, Event) and item.token >= 0:
                self.steps = [*self.steps[: len(self.taken)], [tokens.said(tokenizer, item)]]
        self._draw()

    def _draw(self) -> None:
        self.tree.clear()
        with self.tree:
            self._level(0, 1.0)

    def _level(self, depth: int, likely: float) -> None:
        if depth >= len(self.steps):
            return
        for token, text, logprob in self.steps[depth][0][3]:
            own = math.exp(logprob)
            is_taken = depth < len(self.taken) and self.taken[depth][0] == token
            with box("branch").style(f"--depth: {depth}; --p: {own:.4f}"):
                made = ui.element("button").props('type="button"')
                made.props["aria-pressed"] = str(is_taken).lower()
                with made:
                    words("span", tokens.shown(text))
                made.on("click", lambda _, at=depth, one=(token, text, logprob): self._choose(at, one))
                told = f"{own:.1%}" if depth == 0 else f"{own:.1%} · {likely * own:.2%}"
                words("span", told, "p")
            if is_taken:
                self._level(depth + 1, likely * own)

    def _choose(self, depth: int, one: tuple[int, str, float]) -> None:
        if not self.work.is_on:
            self.taken = [*self.taken[:depth], one]
            self.work.start(self._look())
