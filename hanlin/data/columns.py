"""Columns of a row by the names they usually have, checked and turned into text, labels or messages."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import orjson

from hanlin.core.errors import HanlinError, shown
from hanlin.core.settings import parse
from hanlin.data.example import Row
from hanlin.data.opened import suffix
from hanlin.data.settings import SourceSettings
from hanlin.text.message import Message

TEXTS = ("text", "content", "sentence", "review", "body", "document", "article", "passage")
LABELS = ("label", "labels", "class", "category", "sentiment", "stars", "rating", "score")
ROLES = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}
KEYS = {"role", "content", "name", "tool_calls", "tool_call_id"}
HARMLESS = {"id", "timestamp", "created_at", "date", "index", "refusal", "annotations", "audio", "finish_reason"}
"""Keys of a message that say nothing a model could learn from."""
PLACES = re.compile(r"\{([^{}]+)\}")


def dressed(row: Row, settings: SourceSettings) -> Row:
    """A row with the columns that the settings add: by other names, by patterns, or from the file's name.

    Raises:
        DataError: a pattern names a column that the row does not have.
    """
    more: dict[str, Any] = {name: _filled(row, form) for name, form in settings.columns.items()}
    if "{" in settings.text:
        more["text"] = _filled(row, settings.text)
    if settings.label_from != "column":
        path = PurePosixPath(row.file.replace("\\", "/"))
        more["label"] = path.parent.name if settings.label_from == "folder" else path.name.removesuffix(".gz")
        if settings.label_from == "file":
            more["label"] = more["label"].removesuffix(suffix(path.name))
    return Row({**row.value, **more}, row.file, row.line) if more else row


def _filled(row: Row, form: str) -> Any:
    """One column, or text with columns set in; a list becomes lines."""

    def column(name: str) -> Any:
        if name not in row.value:
            raise row.wrong(f"there is no column {shown(name)}", f"its columns are {', '.join(row.value)}")
        return row.value[name]

    if "{" not in form:
        return column(form)
    return PLACES.sub(lambda found: _flat(column(found[1])), form)


def _flat(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(_flat(item) for item in value)
    return "" if value is None else str(value)


def first(value: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of these columns that a row has."""
    return next((name for name in names if name in value), None)


def text_column(value: Mapping[str, Any], settings: SourceSettings) -> str | None:
    """The column of the text."""
    if settings.text and "{" not in settings.text:
        return settings.text if settings.text in value else None
    return first(value, TEXTS)


def label_column(value: Mapping[str, Any], settings: SourceSettings) -> str | None:
    """The column of the label."""
    if settings.label:
        return settings.label if settings.label in value else None
    return first(value, LABELS)


def string(row: Row, name: str, *, may_be_empty: bool = False) -> str:
    """A column that must be text.

    Raises:
        DataError: it is none, or has nothing in it.
    """
    value = row.value.get(name)
    if not isinstance(value, str):
        raise row.wrong(f"{name} is {shown(value, 40)}, not text", "mend the row, or skip such rows")
    if not may_be_empty and not value.strip():
        raise row.wrong(f"{name} is empty", "fill it in, or skip such rows with data.skip_bad_rows=true")
    if "\0" in value:
        raise row.wrong(f"{name} holds a NUL character", "take it out")
    return value


def label(row: Row, name: str, settings: SourceSettings) -> str | tuple[str, ...] | float:
    """A label: a class by its name, several of them, or a number.

    Raises:
        DataError: there is none, or it is NaN.
    """
    value = row.value.get(name)
    if isinstance(value, list | tuple) and all(isinstance(item, str | int) for item in value):
        return tuple(settings.labels.get(str(item), str(item)) for item in value)
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, int):
        value = str(value)
    if isinstance(value, str) and value.strip():
        return settings.labels.get(value.strip(), value.strip())
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise row.wrong(f"{name} is {shown(value, 40)}, no label", "label the row, or skip such rows")


def messages(row: Row, name: str, value: Any) -> tuple[Message, ...]:
    """A conversation as OpenAI writes it, or as ShareGPT does (from, value).

    Raises:
        DataError: something in it is no message, or is of a kind that no template takes.
    """
    if isinstance(value, str):
        value = _json(row, name, value)
    if not isinstance(value, list | tuple) or not value:
        raise row.wrong(f"{name} is {shown(value, 40)}, no list of messages", "mend the row")
    return tuple(_message(row, f"{name}[{place}]", item) for place, item in enumerate(value))


def _json(row: Row, name: str, value: str) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise row.wrong(f"{name} is {shown(value, 40)}, not JSON: {error}", "mend the row") from None


def _message(row: Row, where: str, item: Any) -> Message:
    if not isinstance(item, Mapping):
        raise row.wrong(f"{where} is {shown(item, 40)}, no message", "write {role, content}")
    given = {key: value for key, value in item.items() if value is not None and key not in HARMLESS}
    if "from" in given:
        given["role"] = given.pop("from")
        given["content"] = given.pop("value", "")
    if given.get("role") == "function_call":
        call = _json(row, f"{where}.value", str(given["content"]))
        given = {"role": "assistant", "tool_calls": [{"type": "function", "function": call}]}
    role = ROLES.get(str(given.get("role")).lower())
    if role is None:
        raise row.wrong(f"{where} has the role {shown(given.get('role'), 40)}", f"one of: {', '.join(ROLES)}")
    strange = sorted(set(given) - KEYS)
    if strange:
        what = f"{where} has the key {shown(strange[0], 40)}, which no chat template is sure to take"
        raise row.wrong(what, "leave it out, or put it into content")
    given["role"], given["content"] = role, _content(row, where, given.get("content", ""))
    if "tool_calls" in given:
        given["tool_calls"] = _calls(row, where, given["tool_calls"])
    try:
        return parse(Message, given)
    except HanlinError as error:
        raise row.wrong(f"{where}: {error.what}", error.fix) from None


def _content(row: Row, where: str, content: Any) -> str:
    if isinstance(content, list | tuple):
        for part in content:
            if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
                raise row.wrong(f"{where} holds {shown(part, 40)}, which is no text", "only text can be learnt")
        return "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise row.wrong(f"{where}.content is {shown(content, 40)}, not text", "mend the row")
    return content


def _calls(row: Row, where: str, calls: Any) -> list[dict[str, Any]]:
    """Calls with their arguments as mappings: OpenAI writes them as a string, templates want what is in it."""
    found = []
    for call in calls if isinstance(calls, list | tuple) else [calls]:
        if not isinstance(call, Mapping) or not isinstance(call.get("function"), Mapping):
            raise row.wrong(f"{where}.tool_calls holds {shown(call, 40)}", "write {type, function: {name, arguments}}")
        function = dict(call["function"])
        if isinstance(function.get("arguments"), str):
            function["arguments"] = _json(row, f"{where}.tool_calls", function["arguments"])
        found.append({**call, "function": function})
    return found


def tools(row: Row) -> tuple[Mapping[str, Any], ...]:
    """Descriptions of tools, where the row has some, as a list or as JSON in a string."""
    value = row.value.get("tools")
    if isinstance(value, str) and value.strip():
        value = _json(row, "tools", value)
    if not value:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        raise row.wrong(f"tools is {shown(value, 40)}, no list of descriptions", "mend the row")
    return tuple(value)
