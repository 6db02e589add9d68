"""The server's load: read once a second, drawn as lines; and what it did since it began."""

import time
from collections import deque
from typing import Any

import psutil
from nicegui import ui

from hanlin.studio.models.dialogs import table
from hanlin.studio.parts import box, words
from hanlin.studio.units import duration, size
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import machine

SECONDS = 90
WIDE, HIGH = 300, 64


class Load:
    """In the current slot."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.server = visitor, visitor.server
        self._lines: dict[str, tuple[deque[float], Any, Any]] = {}
        self._before: tuple[float, int] | None = None
        say = visitor.say
        with box("card", "section"):
            words("h2", say(machine.LOAD))
            with box("tiles"):
                self._line("cpu", machine.CPU)
                self._line("memory", machine.MEMORY)
                self._line("speed", machine.SPEED)
                self._line("requests", machine.REQUESTS)
            words("h3", say(machine.PER_MODEL))
            self.models = box("wide")
        with box("card", "section"):
            self.since = words("h2", "")
            self.counts = box("tiles")
        psutil.cpu_percent()
        self.look()
        ui.timer(1.0, self.look)

    def _line(self, name: str, word: Any) -> None:
        with box("tile"):
            words("div", self.visitor.say(word), "label")
            figure = words("div", "", "big")
            line = ui.html("", sanitize=False)
            line.props["aria-hidden"] = "true"
        self._lines[name] = (deque(maxlen=SECONDS), figure, line)

    def look(self) -> None:
        """Read and draw."""
        server, memory = self.server, psutil.virtual_memory()
        loaded = server.pool.loaded
        tokens, now = sum(one.keeper.tokens for one in loaded.values()), time.monotonic()
        speed = 0.0
        if self._before is not None:
            speed = max(0.0, (tokens - self._before[1]) / max(0.1, now - self._before[0]))
        self._before = (now, tokens)
        busy = sum(gate.inside for gate in server.gates.values())
        cpu = psutil.cpu_percent()
        self._put("cpu", cpu, f"{cpu:.0f} %", 100)
        self._put("memory", memory.percent, size(memory.total - memory.available), 100)
        self._put("speed", speed, f"{speed:,.0f}", 0)
        self._put("requests", busy, f"{busy}", 0)
        self._models()
        self._counts()

    def _put(self, name: str, value: float, told: str, top: float) -> None:
        values, figure, line = self._lines[name]
        values.append(value)
        figure.text = told
        line.content = spark(list(values), top)

    def _models(self) -> None:
        rows = []
        for name, one in self.server.pool.loaded.items():
            gate = self.server.gate(name)
            share = one.keeper.step_seconds / max(1, time.time() - one.loaded_at)
            rows.append(
                (name, f"{gate.inside}", f"{gate.refused}", f"{one.keeper.tokens:,}", f"{share:.1%}", size(one.bytes))
            )
        self.models.clear()
        with self.models:
            table([self.visitor.say(word) for word in machine.COLUMNS], rows, slice(1, 6))

    def _counts(self) -> None:
        say, found = self.visitor.say, totals(self.server.metrics.registry)
        ago = duration(time.time() - self.server.began, self.visitor.language)
        self.since.text = say(machine.SINCE, ago=ago)
        told = {
            "prompt": f"{found.get('hanlin_prompt_tokens_total', 0):,.0f}",
            "cached": f"{found.get('hanlin_cached_tokens_total', 0):,.0f}",
            "completion": f"{found.get('hanlin_completion_tokens_total', 0):,.0f}",
            "first": _mean(found, "hanlin_time_to_first_token_seconds"),
            "between": _mean(found, "hanlin_inter_token_seconds"),
            "errors": f"{found.get('hanlin_errors_total', 0):,.0f}",
        }
        self.counts.clear()
        with self.counts:
            for name, value in told.items():
                with box("tile"):
                    words("div", say(machine.COUNTS[name]), "label")
                    words("div", value, "big")


def totals(registry: Any) -> dict[str, float]:
    """Samples of Prometheus by name, added over their labels."""
    found: dict[str, float] = {}
    for family in registry.collect():
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def _mean(found: dict[str, float], name: str) -> str:
    count = found.get(f"{name}_count", 0)
    if not count:
        return "–"
    seconds = found[f"{name}_sum"] / count
    return f"{seconds * 1000:,.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def spark(values: list[float], top: float) -> str:
    """A line through some values; `top` is the height of the picture, 0 for their highest."""
    high = top or max([*values, 1.0])
    step = WIDE / max(1, SECONDS - 1)
    begin = WIDE - step * (len(values) - 1)
    points = [
        f"{begin + place * step:.1f},{HIGH - 3 - value / high * (HIGH - 8):.1f}" for place, value in enumerate(values)
    ]
    path = "M" + " L".join(points)
    area = f"{path} L{WIDE},{HIGH} L{begin:.1f},{HIGH} Z"
    return (
        f'<svg class="spark" viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none">'
        f'<path class="fill" d="{area}"/><path d="{path}"/></svg>'
    )
