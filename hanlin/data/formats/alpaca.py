"""Instruction pairs: instruction, input where there is one, output; also a question or prompt and its response."""

from collections.abc import Mapping
from typing import Any

from hanlin.data import columns
from hanlin.data.example import Chat, Row
from hanlin.data.settings import SourceSettings
from hanlin.text.message import Message

KINDS = (Chat,)
RANK = 20
COLUMNS = "instruction (input) output; or prompt, question or query with response or answer; system, history"
ASKED = ("instruction", "prompt", "question", "query")
SAID = ("output", "response", "answer")


def matches(value: Mapping[str, Any], _: SourceSettings) -> bool:
    """Something asked and something said, as text."""
    asked, said = columns.first(value, ASKED), columns.first(value, SAID)
    return bool(asked and said) and isinstance(value[asked or ""], str) and isinstance(value[said or ""], str)


def read(row: Row, _: SourceSettings) -> Chat:
    """A chat of the system text, earlier turns, what is asked and what is said."""
    asked, said = columns.first(row.value, ASKED) or ASKED[0], columns.first(row.value, SAID) or SAID[0]
    messages = []
    if row.value.get("system"):
        messages.append(Message(role="system", content=columns.string(row, "system")))
    history = row.value.get("history") or []
    for turn in history if isinstance(history, list | tuple) else [history]:
        if not isinstance(turn, list | tuple) or len(turn) != 2 or not all(isinstance(text, str) for text in turn):
            raise row.wrong("history is no list of pairs of texts", "mend the row")
        messages += [Message(role="user", content=turn[0]), Message(role="assistant", content=turn[1])]
    text = columns.string(row, asked)
    if row.value.get("input"):
        text = f"{text}\n\n{columns.string(row, 'input')}"
    messages += [Message(role="user", content=text), Message(role="assistant", content=columns.string(row, said))]
    return Chat(tuple(messages))


EXAMPLES = (
    (
        {"instruction": "Translate.", "input": "水", "output": "water"},
        Chat((Message(role="user", content="Translate.\n\n水"), Message(role="assistant", content="water"))),
    ),
    (
        {"question": "How?", "response": "So.", "history": [["Hi", "Hello"]]},
        Chat(
            (
                Message(role="user", content="Hi"),
                Message(role="assistant", content="Hello"),
                Message(role="user", content="How?"),
                Message(role="assistant", content="So."),
            )
        ),
    ),
)
