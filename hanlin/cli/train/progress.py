"""A run as the terminal shows it: a bar with what is left, a line for every validation, samples as they come.

Where there is no terminal to draw on, a line every few seconds.
"""

import math
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

LINE_SECONDS = 10.0
MEMORY = 0.9
"""How slowly the figures in the bar move."""


class Show:
    """Draws one run; remembers what it needs for running means and the time left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None
        self.task: Any = None
        self.steps, self.first = 0, 0
        self.seconds = self.loss = None
        self.said = -math.inf
        self.began = time.monotonic()

    def begin(self, work: Any) -> None:
        """The work is prepared."""
        self.steps, self.first = work.steps, work.state.step
        self.began = time.monotonic()
        if self.console.is_terminal:
            columns = (TextColumn("{task.completed}/{task.total}"), BarColumn(), TextColumn("{task.fields[told]}"))
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.task = self.bar.add_task("", total=work.steps, completed=self.first, told="")
            self.bar.start()

    def note(self, text: str) -> None:
        """A sentence."""
        self.console.print(Text(text), soft_wrap=True)

    def step(self, step: Any) -> None:
        """One step, with whatever came with it."""
        for note in step.notes:
            self.note(note)
        if not step.tokens:
            return
        self.seconds = _mean(self.seconds, step.seconds)
        self.loss = _mean(self.loss, step.loss)
        told = self._told(step)
        if self.bar is not None:
            self.bar.update(self.task, completed=step.number, told=told)
        elif time.monotonic() - self.said > LINE_SECONDS or step.stop:
            self.said = time.monotonic()
            self.note(f"{step.number}/{self.steps}  {told}")
        if step.validation is not None:
            self.note(_validated(step))
        if step.sample:
            self.console.print(Text("  " + step.sample.replace("\n", "\n  "), style="dim"), soft_wrap=True)

    def end(self) -> None:
        """Leave the bar."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _told(self, step: Any) -> str:
        assert self.seconds is not None
        left = (self.steps - step.number) * (time.monotonic() - self.began) / max(1, step.number - self.first)
        speed = step.tokens / step.seconds
        mfu = f"  {step.peak_share:.0%} of peak" if step.peak_share else ""
        figures = "".join(f"  {name} {value:.3g}" for name, value in step.figures.items())
        return f"loss {self.loss:.4f}{figures}  rate {step.rate:.2e}  {speed:,.0f} tokens/s{mfu}  {_time(left)} left"


def _validated(step: Any) -> str:
    found = step.validation
    bits = f", {found.bits_per_byte:.4f} bits per byte" if found.bits_per_byte is not None else ""
    figures = "".join(f", {name} {value:.4g}" for name, value in found.figures.items())
    best = "  best so far" if found.is_best else ""
    return f"step {step.number}: training loss {step.loss:.4f}, validation {found.loss:.4f}{bits}{figures}{best}"


def _mean(old: float | None, new: float) -> float:
    return new if old is None else MEMORY * old + (1 - MEMORY) * new


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
