"""Texts in; a map of their vectors out, seen along the two directions in which they differ most."""

import html
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from nicegui import ui

from hanlin.core.errors import DataError
from hanlin.infer.embed import embed
from hanlin.studio.models.dialogs import table
from hanlin.studio.parts import action, box, labelled, words
from hanlin.studio.play.bench import Bench
from hanlin.studio.words import playground
from hanlin.studio.work import Work

WIDE, HIGH, EDGE = 720, 420, 46
SHOWN = 34
"""Characters of a text on the map."""


class Mapping:
    """In the current slot."""

    path = "/v1/embeddings"

    def __init__(self, bench: Bench) -> None:
        self.bench, say = bench, bench.visitor.say
        with box("two"):
            with box("card", "section"):
                self.texts = ui.textarea(say(playground.TEXTS), value=say(playground.TEXTS_DEFAULT))
                self.texts.props("outlined autogrow").on_value_change(bench.tell)
                labelled(self.texts, say(playground.TEXTS))
                self.go = action(say(playground.MAP), self._run, "scatter_plot", "primary")
            with box("card", "section"):
                self.map = ui.html("", sanitize=False).classes("map")
                self.help = words("p", "", "help")
                self.near = box("wide")
        self.work = Work(bench.visitor)

    def body(self) -> dict[str, Any]:
        """As the API takes it."""
        return {"model": self.bench.model, "input": self._lines()}

    def _lines(self) -> list[str]:
        return [line.strip() for line in (self.texts.value or "").splitlines() if line.strip()]

    def _run(self) -> None:
        self.work.start(self._draw(self._lines()))

    async def _draw(self, texts: list[str]) -> None:
        visitor = self.bench.visitor
        if len(texts) < 3:
            raise DataError(visitor.say(playground.FEW), visitor.say(playground.TEXTS))
        async with visitor.server.taken(self.bench.model) as held:
            model, network = held.served.model, held.served.network_here()

            def pieces() -> Iterator[Float[np.ndarray, " D"]]:
                for text in texts:
                    yield embed(network, model.tokenizer, [text])[0]

            vectors = np.stack([piece async for piece in held.served.keeper.work(pieces())])
        places, share = flat(vectors)
        self.map.content = drawn(places, texts)
        self.help.text = visitor.say(playground.MAP_HELP, share=share)
        self._nearest(vectors, texts)

    def _nearest(self, vectors: Float[np.ndarray, "N D"], texts: Sequence[str]) -> None:
        alike = vectors @ vectors.T
        pairs = sorted(((float(alike[a, b]), a, b) for a in range(len(texts)) for b in range(a)), reverse=True)[:5]
        self.near.clear()
        with self.near:
            words("h3", self.bench.visitor.say(playground.NEAREST))
            rows = [(f"{value:.3f}", texts[b][:SHOWN], texts[a][:SHOWN]) for value, a, b in pairs]
            table(["cos", "", ""], rows, slice(0, 0))


def flat(vectors: Float[np.ndarray, "N D"]) -> tuple[Float[np.ndarray, "N 2"], float]:
    """The two principal components, and their share of the variance."""
    centred = vectors - vectors.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    total = float((sizes**2).sum()) or 1.0
    return left[:, :2] * sizes[:2], float((sizes[:2] ** 2).sum()) / total


def drawn(places: Float[np.ndarray, "N 2"], texts: Sequence[str]) -> str:
    """The map as SVG."""
    low, high = places.min(0), places.max(0)
    scaled = (places - low) / np.where(high > low, high - low, 1)
    marks = []
    for (x, y), text in zip(scaled, texts, strict=True):
        left, top = EDGE + x * (WIDE - 2 * EDGE), EDGE + (1 - y) * (HIGH - 2 * EDGE)
        anchor = "end" if x > 0.6 else "start"
        gap = -10 if x > 0.6 else 10
        written = html.escape(text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…")
        marks.append(f'<circle cx="{left:.1f}" cy="{top:.1f}" r="6"><title>{html.escape(text)}</title></circle>')
        marks.append(f'<text x="{left + gap:.1f}" y="{top + 4:.1f}" text-anchor="{anchor}">{written}</text>')
    return f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{len(texts)}">{"".join(marks)}</svg>'
