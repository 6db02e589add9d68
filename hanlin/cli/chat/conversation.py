"""A conversation as a file: messages, settings and the model's name in, JSON out, and back with every field checked.

{"kind": "hanlin conversation", "model": "…", "params": {…}, "messages": [{"role": "user", "content": "…"}, …]}
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hanlin.core.errors import ConfigError, DataError
from hanlin.core.run import replacing
from hanlin.core.settings import Settings, parse
from hanlin.infer.sampling import Sampling
from hanlin.text.message import Message

LARGEST_BYTES = 64 << 20
BAD_FILE = "give a file that /save wrote"


class Conversation(Settings):
    """What a saved chat holds."""

    kind: Literal["hanlin conversation"] = "hanlin conversation"
    """What this file is."""
    model: str
    """The model it was held with."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Settings of the answers that differ from their defaults, as `/params` names them."""
    messages: tuple[Message, ...]
    """Every turn, the system message first if there is one."""


def save(conversation: Conversation, path: Path) -> None:
    """Write it whole or not at all.

    Raises:
        StoreError: the place cannot be written.
        CapacityError: the disk is full.
        DataError: the place is a folder.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder", "name a file in it")
    plain = conversation.model_dump(mode="json", exclude={"messages"})
    plain["messages"] = [message.plain() for message in conversation.messages]
    with replacing(path) as sink:
        sink.write(json.dumps(plain, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace") + b"\n")


def load(path: Path) -> tuple[Conversation, Sampling]:
    """A saved conversation and its settings, checked.

    Raises:
        DataError: the file is missing, unreadable, too large, no JSON, or no conversation; the message has the place.
    """
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder", BAD_FILE)
        with path.open("rb") as source:
            content = source.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise DataError(f"{path} has more than {LARGEST_BYTES >> 20} MB: too large for a conversation", BAD_FILE)
        plain = json.loads(content.decode("utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", BAD_FILE) from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested without end
        raise DataError(f"{path} is not a saved conversation: {error}", BAD_FILE) from None
    if not isinstance(plain, dict) or "kind" not in plain:
        raise DataError(f"{path} is not a saved conversation: it does not say so", BAD_FILE)
    try:
        conversation = parse(Conversation, plain)
        settings = parse(Sampling, conversation.params, "params")
        if any(message.role == "system" for message in conversation.messages[1:]):
            raise ConfigError("a system message stands after the first place", "")
    except ConfigError as error:
        raise DataError(f"{path}: {error.what}", error.fix or BAD_FILE) from None
    return conversation, settings
