"""A prompt and how it goes on: as plain text no template is applied; as messages it is a conversation."""

from collections.abc import Mapping
from typing import Any

from hanlin.data import columns
from hanlin.data.example import Chat, Completion, Row
from hanlin.data.formats.messages import checked
from hanlin.data.settings import SourceSettings
from hanlin.text.message import Message

KINDS = (Completion, Chat)
RANK = 15
COLUMNS = "prompt and completion, as text or as messages"


def matches(value: Mapping[str, Any], _: SourceSettings) -> bool:
    """Both columns."""
    return "prompt" in value and "completion" in value


def read(row: Row, _: SourceSettings) -> Completion | Chat:
    """The pair."""
    if isinstance(row.value.get("prompt"), str) and isinstance(row.value.get("completion"), str):
        return Completion(columns.string(row, "prompt", may_be_empty=True), columns.string(row, "completion"))
    prompt = columns.messages(row, "prompt", row.value.get("prompt"))
    return checked(row, prompt + columns.messages(row, "completion", row.value.get("completion")))


EXAMPLES = (
    ({"prompt": "1 + 2 =", "completion": " 3"}, Completion("1 + 2 =", " 3")),
    (
        {
            "prompt": [{"role": "user", "content": "1+2?"}],
            "completion": [{"role": "assistant", "content": "3"}],
        },
        Chat((Message(role="user", content="1+2?"), Message(role="assistant", content="3"))),
    ),
)
