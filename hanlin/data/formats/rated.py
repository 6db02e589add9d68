"""A conversation and whether its end is wanted (KTO): prompt, completion and a label of true or false."""

from collections.abc import Mapping
from typing import Any

from hanlin.core.errors import shown
from hanlin.data import columns
from hanlin.data.example import Rated, Row
from hanlin.data.settings import SourceSettings
from hanlin.text.message import Message

KINDS = (Rated,)
RANK = 6
COLUMNS = "prompt and completion, or messages, as text or messages; label: true or false"
YES, NO = ("true", "1", "good", "yes", "1.0"), ("false", "0", "bad", "no", "0.0")


def matches(value: Mapping[str, Any], settings: SourceSettings) -> bool:
    """A conversation and a label."""
    has_chat = ("prompt" in value and "completion" in value) or "messages" in value
    return has_chat and (settings.label or "label") in value


def read(row: Row, settings: SourceSettings) -> Rated:
    """The conversation and its verdict."""
    verdict = columns.label(row, settings.label or "label", settings)
    word = str(verdict).lower()
    if word not in YES + NO:
        raise row.wrong(f"label is {shown(verdict)}, neither true nor false", "write true or false")
    if "messages" in row.value:
        messages = columns.messages(row, "messages", row.value["messages"])
    else:
        messages = _turns(row, "prompt", "user") + _turns(row, "completion", "assistant")
    if messages[-1].role != "assistant":
        raise row.wrong("the conversation does not end with the assistant's answer", "mend the row")
    return Rated(messages, word in YES)


def _turns(row: Row, name: str, role: str) -> tuple[Message, ...]:
    value = row.value.get(name)
    if isinstance(value, str):
        value = [{"role": role, "content": columns.string(row, name)}]
    return columns.messages(row, name, value)


EXAMPLES = (
    (
        {"prompt": "Hi", "completion": "Hello!", "label": True},
        Rated((Message(role="user", content="Hi"), Message(role="assistant", content="Hello!")), is_good=True),
    ),
    (
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "What?"}], "label": "0"},
        Rated((Message(role="user", content="Hi"), Message(role="assistant", content="What?")), is_good=False),
    ),
)
