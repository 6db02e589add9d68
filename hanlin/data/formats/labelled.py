"""A text, or two, and a class, several classes or a number."""

from collections.abc import Mapping
from typing import Any

from hanlin.data import columns
from hanlin.data.example import Labelled, Row
from hanlin.data.settings import SourceSettings

KINDS = (Labelled,)
RANK = 12
COLUMNS = (
    "text (or sentence, review …) and label (or class, stars …); premise and hypothesis; question, passage, answer"
)
PAIRS = (
    ("premise", "hypothesis"),
    ("question", "passage"),
    ("question", "context"),
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("query", "document"),
)


def _pair(value: Mapping[str, Any]) -> tuple[str, str] | None:
    return next((pair for pair in PAIRS if pair[0] in value and pair[1] in value), None)


def _label(value: Mapping[str, Any], settings: SourceSettings) -> str | None:
    """The label's column; in the form of BoolQ it is called answer."""
    found = columns.label_column(value, settings)
    return found or ("answer" if not settings.label and _pair(value) and "answer" in value else None)


def matches(value: Mapping[str, Any], settings: SourceSettings) -> bool:
    """A text and a label."""
    has_text = columns.text_column(value, settings) or (not settings.text and _pair(value))
    return bool(has_text) and _label(value, settings) is not None


def read(row: Row, settings: SourceSettings) -> Labelled:
    """The text or pair, and its label."""
    name = _label(row.value, settings)
    if name is None:
        raise row.wrong("there is no label", f"its columns are {', '.join(row.value)}: name one as label")
    label = columns.label(row, name, settings)
    pair = None if settings.text else _pair(row.value)
    if pair:
        return Labelled(columns.string(row, pair[0]), label, columns.string(row, pair[1]))
    text = columns.text_column(row.value, settings)
    if text is None:
        raise row.wrong("there is no text", f"its columns are {', '.join(row.value)}: name one as text")
    return Labelled(columns.string(row, text), label)


EXAMPLES = (
    ({"text": "很好", "label": "pos"}, Labelled("很好", "pos")),
    ({"sentence": "fine", "label": 1}, Labelled("fine", "1")),
    ({"review": "so so", "stars": 2.5}, Labelled("so so", 2.5)),
    ({"text": "a", "labels": ["x", "y"]}, Labelled("a", ("x", "y"))),
    ({"premise": "It rains.", "hypothesis": "It is wet.", "label": "yes"}, Labelled("It rains.", "yes", "It is wet.")),
    ({"question": "is it", "passage": "It is.", "answer": True}, Labelled("is it", "true", "It is.")),
)
