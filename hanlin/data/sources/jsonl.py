"""JSON lines: a record to a line (.jsonl, .ndjson), or a file that is one list of records (.json); gzipped or not."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import orjson

from hanlin.core.errors import DataError, shown
from hanlin.data.example import Row
from hanlin.data.opened import File, lines, suffix, texts, wrong
from hanlin.data.settings import SourceSettings

SUFFIXES = (".jsonl", ".ndjson", ".json")
MOST_CHARACTERS = 1 << 28
"""Of a .json file, which is read as a whole."""


def rows(file: File, _: SourceSettings) -> Iterator[Row | DataError]:
    """The records of a file. A record that is a list is a conversation, one that is a string a text."""
    try:
        if suffix(file.name) == ".json" and not _is_by_line(file):
            yield from _whole(file)
            return
        for line in lines(file):
            if line.text.strip():
                try:
                    yield _row(_parsed(line.text), file, line.number)
                except ValueError as error:
                    yield _broken(file, line.number, line.text, error)
    except DataError as error:
        yield error


def _is_by_line(file: File) -> bool:
    """Whether the first line is a whole record: some call such files .json."""
    first = next((line.text for line in islice(lines(file), 100) if line.text.strip()), "")
    try:
        return isinstance(orjson.loads(first), dict)
    except orjson.JSONDecodeError:
        return False


def _whole(file: File) -> Iterator[Row | DataError]:
    parts, length = [], 0
    for block in texts(file):
        parts.append(block)
        length += len(block)
        if length > MOST_CHARACTERS:
            what = f"the file is one piece of JSON of more than {MOST_CHARACTERS:,} characters"
            raise wrong(file, 1, what, "write one record to a line and call it .jsonl")
    text = "".join(parts)
    try:
        value = _parsed(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        yield _broken(file, line, text.split("\n")[line - 1] if text else "", error)
        return
    records = value if isinstance(value, list) and not _is_chat(value) else [value]
    for number, record in enumerate(records, 1):
        try:
            yield _row(record, file, number)
        except ValueError as error:
            yield wrong(file, number, f"the record is {shown(record)}: {error}", "make each record an object")


def _parsed(text: str) -> Any:
    """JSON; NaN and Infinity, which are none but common, are read as well and judged where they stand."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def _row(value: Any, file: File, line: int) -> Row:
    if isinstance(value, str):
        value = {"text": value}
    if isinstance(value, list) and _is_chat(value):
        value = {"messages": value}
    if not isinstance(value, Mapping):
        raise ValueError("not an object")
    return Row(value, file.name, line)


def _is_chat(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(item, dict) and "role" in item for item in value)


def _broken(file: File, line: int, text: str, error: ValueError) -> DataError:
    reason = getattr(error, "msg", None) or str(error)
    what = f"{shown(text.strip(), 60)} is not a JSON record: {reason}"
    return wrong(file, line, what, "mend that line, or skip such with data.skip_bad_rows=true")
