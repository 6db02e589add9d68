"""Something to read."""

from collections.abc import Mapping
from typing import Any

from hanlin.data import columns
from hanlin.data.example import Row, Text
from hanlin.data.settings import SourceSettings

KINDS = (Text,)
RANK = 30
COLUMNS = "text (or content, sentence, body …), or the column or pattern that `text` names"


def matches(value: Mapping[str, Any], settings: SourceSettings) -> bool:
    """A column of text."""
    return columns.text_column(value, settings) is not None


def read(row: Row, settings: SourceSettings) -> Text:
    """The text."""
    name = columns.text_column(row.value, settings)
    if name is None:
        raise row.wrong("there is no text", f"its columns are {', '.join(row.value)}: name one as text")
    return Text(columns.string(row, name))


EXAMPLES = (({"text": "Once."}, Text("Once.")), ({"content": "从前", "id": 3}, Text("从前")))
