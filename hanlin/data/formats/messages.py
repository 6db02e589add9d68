"""Conversations as OpenAI writes them: messages of role and content, tools and calls of them included."""

from collections.abc import Mapping
from typing import Any

from hanlin.data import columns
from hanlin.data.example import Chat, Row
from hanlin.data.settings import SourceSettings
from hanlin.text.message import Message

KINDS = (Chat,)
RANK = 10
COLUMNS = "messages (or conversation): a list of {role, content}; tools where there are some"
NAMES = ("messages", "conversation", "conversations", "dialog", "dialogue")


def matches(value: Mapping[str, Any], _: SourceSettings) -> bool:
    """A list of messages with roles."""
    name = columns.first(value, NAMES)
    items = value[name] if name else None
    return bool(items) and isinstance(items, list | tuple) and isinstance(items[0], Mapping) and "role" in items[0]


def read(row: Row, _: SourceSettings) -> Chat:
    """The conversation."""
    name = columns.first(row.value, NAMES) or "messages"
    return checked(row, columns.messages(row, name, row.value.get(name)))


def checked(row: Row, messages: tuple[Message, ...]) -> Chat:
    """A chat that says something to learn from."""
    if not any(message.role == "assistant" and (message.content or message.tool_calls) for message in messages):
        raise row.wrong("the assistant says nothing in it", "add its answer, or skip such rows")
    return Chat(messages, columns.tools(row))


CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
EXAMPLES = (
    (
        {"messages": [{"role": "user", "content": "1+2?"}, {"role": "assistant", "content": "3"}]},
        Chat((Message(role="user", content="1+2?"), Message(role="assistant", content="3"))),
    ),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "1+2?"}]},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "1", "content": "3"},
            ],
            "tools": [TOOL],
        },
        Chat(
            (
                Message(role="user", content="1+2?"),
                Message(
                    role="assistant",
                    tool_calls=({**CALL, "function": {"name": "add", "arguments": {"a": 1, "b": 2}}},),
                ),
                Message(role="tool", tool_call_id="1", content="3"),
            ),
            (TOOL,),
        ),
    ),
)
