"""What a row of training data means, whatever file and column names it came in.

`formats/` turns a `Row` into one of these; an objective says which of them it takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hanlin.core.errors import DataError
from hanlin.text.message import Message


@dataclass(frozen=True)
class Row:
    """One record of a file, as it stands there."""

    value: Mapping[str, Any]
    """Column → value; a plain text has the one column "text"."""
    file: str
    """Where it came from."""
    line: int
    """Line of a text file, else the number of the record; the first is 1."""

    def wrong(self, what: str, fix: str) -> DataError:
        """An error that names the file and the line."""
        return DataError(f"{self.file}, line {self.line}: {what}", fix)


@dataclass(frozen=True)
class Text:
    """Something to read."""

    text: str


@dataclass(frozen=True)
class Chat:
    """A conversation; what the assistant says is to be learnt. Instruction pairs are chats of two messages."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    """Descriptions of the tools the assistant may call, as the chat template takes them."""


@dataclass(frozen=True)
class Completion:
    """Plain text and how it goes on; no chat template is applied."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Preference:
    """Two ends of the same conversation, the first better than the second."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]


@dataclass(frozen=True)
class Rated:
    """A conversation whose end is wanted or not (KTO)."""

    messages: tuple[Message, ...]
    is_good: bool


@dataclass(frozen=True)
class Labelled:
    """A text and its class, its classes, or its number."""

    text: str
    label: str | tuple[str, ...] | float
    pair: str | None = None
    """A second text where the label is about two, such as a question about a passage."""


@dataclass(frozen=True)
class Question:
    """A prompt to answer, and what a reward needs to judge the answer."""

    prompt: tuple[Message, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For instance `{"answer": "42"}`."""


Example = Text | Chat | Completion | Preference | Rated | Labelled | Question
