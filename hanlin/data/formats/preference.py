"""Two ends of a conversation, one chosen and one rejected: as text, or as messages with or without a prompt."""

from collections.abc import Mapping
from typing import Any

from hanlin.data import columns
from hanlin.data.example import Preference, Row
from hanlin.data.settings import SourceSettings
from hanlin.text.message import Message

KINDS = (Preference,)
RANK = 5
COLUMNS = "chosen and rejected, as text or as messages; prompt (or question, instruction), or what both begin with"
PROMPTS = ("prompt", "question", "instruction", "query")


def matches(value: Mapping[str, Any], _: SourceSettings) -> bool:
    """Both ends."""
    return "chosen" in value and "rejected" in value


def read(row: Row, _: SourceSettings) -> Preference:
    """The prompt and the two ends; without a prompt it is what the two conversations share."""
    name = columns.first(row.value, PROMPTS)
    prompt = _turns(row, name, "user") if name else ()
    chosen, rejected = (_turns(row, end, "assistant") for end in ("chosen", "rejected"))
    if row.value.get("system"):
        prompt = (Message(role="system", content=columns.string(row, "system")), *prompt)
    if prompt and all(end[: len(prompt)] == prompt for end in (chosen, rejected)):
        chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    if not prompt:
        shared = 0
        while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
            shared += 1
        prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    if not prompt:
        raise row.wrong("chosen and rejected share no beginning, and there is no prompt", "add a column prompt")
    if chosen == rejected:
        raise row.wrong("chosen and rejected are the same", "skip such rows")
    for end, turns in (("chosen", chosen), ("rejected", rejected)):
        if not turns or turns[-1].role != "assistant":
            raise row.wrong(f"{end} does not end with the assistant's answer", "mend the row")
    return Preference(prompt, chosen, rejected)


def _turns(row: Row, name: str, role: str) -> tuple[Message, ...]:
    value = row.value.get(name)
    if isinstance(value, str):
        return columns.messages(row, name, [{"role": role, "content": columns.string(row, name)}])
    return columns.messages(row, name, [value] if isinstance(value, Mapping) else value)


ASKED = {"role": "user", "content": "Hi"}
EXAMPLES = (
    (
        {"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"},
        Preference(
            (Message(role="user", content="Hi"),),
            (Message(role="assistant", content="Hello!"),),
            (Message(role="assistant", content="What?"),),
        ),
    ),
    (
        {
            "chosen": [ASKED, {"role": "assistant", "content": "Hello!"}],
            "rejected": [ASKED, {"role": "assistant", "content": "What?"}],
        },
        Preference(
            (Message(role="user", content="Hi"),),
            (Message(role="assistant", content="Hello!"),),
            (Message(role="assistant", content="What?"),),
        ),
    ),
)
