"""The two halves of an exam's item: `Sample` is what is asked and what is right, `Reply` is what the model said.

    Task ─▶ Sample ─▶ model ─▶ Reply ─▶ metric ─▶ Score

A metric takes as many samples as replies, in the same order, and reads only the fields that it needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One question, and what a right answer is."""

    id: str = ""
    """Names the item within its task; two runs are compared item by item through it."""
    prompt: str = ""
    """What the model reads before it answers; "" of a text that is only read."""
    choices: tuple[str, ...] = ()
    """Answers to choose from, or documents to rank, in the order of `Reply.loglikelihoods`."""
    between: str = " "
    """What stands between the prompt and a choice; it is not counted in a choice's length."""
    gold: tuple[int, ...] = ()
    """Places of the right choices; most tasks have one."""
    references: tuple[str, ...] = ()
    """Right answers as texts; of a text that is only read, the text itself."""
    group: str = ""
    """The subject or subgroup it is reported under."""
    cluster: str = ""
    """Items of one cluster share a passage: they are not independent, and the standard error knows."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What only this task's metric needs, such as the tests of a program."""


@dataclass(frozen=True)
class Reply:
    """What a model made of one sample."""

    texts: tuple[str, ...] = ()
    """Answers that it wrote; several where the metric draws several, such as pass@k."""
    loglikelihoods: tuple[float, ...] = ()
    """Nats, of each choice after the prompt; of a text that is only read, its own."""
    alone: tuple[float, ...] = ()
    """Nats, of each choice after the task's neutral prompt, where the metric asks for it."""
    tokens: tuple[int, ...] = ()
    """Tokens that each of `loglikelihoods` is the sum over."""

    @property
    def text(self) -> str:
        """The first answer; "" where there is none."""
        return self.texts[0] if self.texts else ""


def parted(prompt: str, between: str) -> tuple[str, str]:
    """A prompt without the spaces at its end, and what stands between it and a choice: those, and the task's own."""
    kept = prompt.rstrip(" ") if between or prompt.strip() else ""
    return kept, prompt[len(kept) :] + between
