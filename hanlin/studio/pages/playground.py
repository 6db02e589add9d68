"""Playground: completion with its tree of probabilities, constrained output, a map of meanings; each as code, too."""

from typing import Any

from nicegui import ui

from hanlin.studio.parts import box, heading, labelled, words
from hanlin.studio.play import snippets
from hanlin.studio.play.bench import Bench
from hanlin.studio.play.completing import Completing
from hanlin.studio.play.mapping import Mapping
from hanlin.studio.play.structuring import Structuring
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import common, playground

PATH, TITLE, ICON, ORDER = "/playground", playground.TITLE, "science", 3
PARTS = (
    ("complete", playground.COMPLETE, Completing),
    ("structure", playground.STRUCTURE, Structuring),
    ("embed", playground.EMBED, Mapping),
)


async def show(visitor: Visitor) -> None:
    """The page."""
    say, pool = visitor.say, visitor.server.pool
    bench = Bench(visitor, pool.default)
    parts: dict[str, Any] = {}
    with box("page").props('tabindex="0"'), box("inner"):
        with box("line-up"):
            with box("grow"):
                heading(say(playground.TITLE), say(playground.LINE))
            chosen = ui.select(pool.names(), value=bench.model, label=say(common.MODEL)).props("outlined dense")
            labelled(chosen, say(common.MODEL))
        with ui.tabs().props("align=left no-caps dense inline-label") as tabs:
            for name, word, _ in PARTS:
                ui.tab(name, say(word))
        with ui.tab_panels(tabs, value="complete", animated=False):
            for name, _, part in PARTS:
                with ui.tab_panel(name):
                    parts[name] = part(bench)
        with box("card", "section"):
            words("h2", say(playground.SNIPPETS))
            words("p", say(playground.SNIPPETS_HELP), "help")
            code = box("two")

    def draw() -> None:
        part = parts[str(tabs.value or "complete")]
        base = str(visitor.request.base_url).rstrip("/")
        has_keys = visitor.key is not None
        code.clear()
        with code:
            for language, made in (("bash", snippets.curl), ("python", snippets.python)):
                text = made(base, part.path, part.body(), has_keys)
                ui.html(snippets.drawn(text, language, say(common.COPY)), sanitize=False).classes("body snippet")

    def choose(event: Any) -> None:
        bench.model = event.value
        draw()

    chosen.on_value_change(choose)
    tabs.on_value_change(draw)
    bench.listeners.append(draw)
    draw()
