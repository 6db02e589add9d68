"""A conversation: a tree of messages, of which one path is shown. Editing and answering again make branches.

Nothing here knows of pages or models; `plain` and `from_plain` are what the database and exported files have.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import Field

from hanlin.core.errors import DataError
from hanlin.core.settings import Settings, parse

TITLE = 60
"""Characters of a title."""
Alternative = tuple[int, str, float]
"""A token's id, its text, its log-probability."""
Said = tuple[int, str, float, tuple[Alternative, ...]]
"""A token that came, as an alternative, and what could have come in its place."""


@dataclass
class Message:
    """Something said."""

    id: str
    parent: str | None
    role: Literal["user", "assistant"]
    content: str
    model: str = ""
    round: str = ""
    """Answers of one round stand side by side."""
    created: float = 0.0
    tokens: list[Said] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)


class _Plain(Settings):
    """A message in a file."""

    id: str
    parent: str | None
    role: Literal["user", "assistant"]
    content: str
    model: str = ""
    round: str = ""
    created: float = 0.0
    tokens: list[Said] = Field(default_factory=list)
    stats: dict[str, Any] = Field(default_factory=dict)


class _File(Settings):
    """A conversation in a file."""

    id: str = ""
    title: str = ""
    system: str = ""
    models: list[str] = Field(default_factory=list)
    sampling: dict[str, Any] = Field(default_factory=dict)
    messages: list[_Plain] = Field(default_factory=list)
    leaf: str | None = None


@dataclass
class Conversation:
    """It grows, so it is no frozen value; it is one page's at a time."""

    id: str = field(default_factory=lambda: secrets.token_hex(12))
    title: str = ""
    system: str = ""
    models: list[str] = field(default_factory=list)
    sampling: dict[str, Any] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    leaf: str | None = None
    """The last message of the path that is shown."""

    def add(self, role: Literal["user", "assistant"], content: str, parent: str | None, **more: Any) -> Message:
        """A message after another; the path goes through it from now on."""
        made = Message(secrets.token_hex(6), parent, role, content, created=time.time(), **more)
        self.messages[made.id] = made
        self.leaf = made.id
        if not self.title and role == "user":
            self.title = titled(content)
        return made

    def path(self, leaf: str | None = None) -> list[Message]:
        """From the first message to `leaf`, or to the leaf that is shown."""
        found, at = [], leaf or self.leaf
        while at is not None:
            found.append(self.messages[at])
            at = self.messages[at].parent
        return found[::-1]

    def branches(self, message: Message) -> list[list[Message]]:
        """All that stands where this message stands, oldest first; answers of one round are one branch."""
        rounds: dict[str, list[Message]] = {}
        for one in self.messages.values():
            if one.parent == message.parent and one.role == message.role:
                rounds.setdefault(one.round or one.id, []).append(one)
        return list(rounds.values())

    def beside(self, message: Message) -> list[Message]:
        """The answers of its round, itself among them."""
        return next(branch for branch in self.branches(message) if message in branch)

    def show(self, message: Message) -> None:
        """Let the path go through a message, and on to its newest end."""
        at = message.id
        while children := [one.id for one in self.messages.values() if one.parent == at]:
            at = children[-1]
        self.leaf = at

    def turns(self, leaf: str | None) -> list[dict[str, Any]]:
        """What a model is asked with: the system prompt and the path to `leaf`."""
        system = [{"role": "system", "content": self.system}] if self.system.strip() else []
        said = self.path(leaf) if leaf else []
        return [*system, *({"role": one.role, "content": one.content} for one in said)]

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "id": self.id,
            "title": self.title,
            "system": self.system,
            "models": self.models,
            "sampling": self.sampling,
            "messages": [asdict(one) for one in self.messages.values()],
            "leaf": self.leaf,
        }

    def markdown(self) -> str:
        """The path that is shown, to be read."""
        parts = [f"# {self.title}\n"]
        if self.system.strip():
            parts.append(f"> {self.system.strip()}\n")
        parts += [f"**{one.model or one.role}**\n\n{one.content.strip()}\n" for one in self.path()]
        return "\n".join(parts)


def titled(text: str) -> str:
    """A title from the first thing said."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE else f"{line[: TITLE - 1]}…"


def from_plain(values: Mapping[str, Any]) -> Conversation:
    """What `plain` made.

    Raises:
        ConfigError: a field is unknown or wrong.
        DataError: it is no tree.
    """
    read = parse(_File, values)
    messages = {one.id: Message(**one.model_dump()) for one in read.messages}
    made = Conversation(read.id or secrets.token_hex(12), read.title, read.system, read.models, read.sampling, messages)
    for one in messages.values():
        seen: set[str | None] = set()
        at: str | None = one.id
        while at is not None:
            if at in seen or at not in messages:
                raise DataError(f"message {one.id} follows none that is there", "export the conversation again")
            seen.add(at)
            at = messages[at].parent
    if read.leaf is not None and read.leaf not in messages:
        raise DataError(f"there is no message {read.leaf}, which should be shown", "export the conversation again")
    made.leaf = read.leaf
    return made
