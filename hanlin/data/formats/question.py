"""A prompt to answer, and what a reward needs to judge the answer: its other columns are facts."""

from collections.abc import Mapping
from typing import Any

from hanlin.data import columns
from hanlin.data.example import Question, Row
from hanlin.data.settings import SourceSettings
from hanlin.text.message import Message

KINDS = (Question,)
RANK = 13
COLUMNS = "prompt (or question, problem, messages), as text or messages; answer and any other column as facts"
PROMPTS = ("prompt", "question", "problem", "instruction", "messages")


def matches(value: Mapping[str, Any], _: SourceSettings) -> bool:
    """Something to answer."""
    return columns.first(value, PROMPTS) is not None


def read(row: Row, _: SourceSettings) -> Question:
    """The prompt, and all else as facts."""
    name = columns.first(row.value, PROMPTS) or PROMPTS[0]
    value = row.value.get(name)
    if isinstance(value, str):
        value = [{"role": "user", "content": columns.string(row, name)}]
    messages = columns.messages(row, name, value)
    if row.value.get("system"):
        messages = (Message(role="system", content=columns.string(row, "system")), *messages)
    facts = {key: item for key, item in row.value.items() if key not in (name, "system") and item is not None}
    return Question(messages, facts)


EXAMPLES = (
    ({"question": "6 × 7?", "answer": "42"}, Question((Message(role="user", content="6 × 7?"),), {"answer": "42"})),
)
