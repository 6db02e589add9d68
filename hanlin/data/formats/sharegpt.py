"""Conversations as ShareGPT writes them: a list of from and value, with a system text beside it at times."""

from collections.abc import Mapping
from typing import Any

from hanlin.data import columns
from hanlin.data.example import Chat, Row
from hanlin.data.formats.messages import NAMES, checked
from hanlin.data.settings import SourceSettings
from hanlin.text.message import Message

KINDS = (Chat,)
RANK = 11
COLUMNS = "conversations: a list of {from, value}; system where there is one"


def matches(value: Mapping[str, Any], _: SourceSettings) -> bool:
    """A list of turns with senders."""
    name = columns.first(value, NAMES)
    items = value[name] if name else None
    return bool(items) and isinstance(items, list | tuple) and isinstance(items[0], Mapping) and "from" in items[0]


def read(row: Row, _: SourceSettings) -> Chat:
    """The conversation, the system text first."""
    name = columns.first(row.value, NAMES) or "conversations"
    messages = columns.messages(row, name, row.value.get(name))
    if row.value.get("system"):
        messages = (Message(role="system", content=columns.string(row, "system")), *messages)
    return checked(row, messages)


EXAMPLES = (
    (
        {"conversations": [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "您好"}], "system": "Be kind."},
        Chat(
            (
                Message(role="system", content="Be kind."),
                Message(role="user", content="你好"),
                Message(role="assistant", content="您好"),
            )
        ),
    ),
)
