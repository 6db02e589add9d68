"""Every form of a row reads its own examples as it says, is found from their columns, and tells what it cannot read."""

from collections.abc import Mapping
from typing import Any

import pytest

from hanlin.core.errors import DataError
from hanlin.core.plugins import find, names
from hanlin.data.example import Example, Row
from hanlin.data.read import FORMATS, sniffed
from hanlin.data.settings import SourceSettings

SOURCE = SourceSettings(path="somewhere")
CASES = [(name, *case) for name in names(FORMATS) for case in find(FORMATS, name).EXAMPLES]


@pytest.mark.parametrize(("name", "value", "example"), CASES)
def test_a_form_reads_its_examples(name: str, value: Mapping[str, Any], example: Example) -> None:
    form = find(FORMATS, name)
    assert form.matches(value, SOURCE)
    assert form.read(Row(value, "f", 1), SOURCE) == example
    assert isinstance(example, form.KINDS)


@pytest.mark.parametrize(("name", "value", "example"), CASES)
def test_a_form_is_found_among_those_that_give_what_is_wanted(
    name: str, value: Mapping[str, Any], example: Example
) -> None:
    found, reason = sniffed([Row(value, "f", 1)], SOURCE, (type(example),))
    assert (found, find(FORMATS, found).read(Row(value, "f", 1), SOURCE)) == (name, example)
    assert reason


@pytest.mark.parametrize(("name", "value", "example"), CASES)
def test_a_damaged_row_is_named_with_its_file_and_line(name: str, value: Mapping[str, Any], example: Example) -> None:
    form = find(FORMATS, name)
    for damage in (None, float("nan"), {"a": [1]}, [3], b"\xff", ""):
        broken = dict.fromkeys(value, damage)
        with pytest.raises(DataError, match=r"data\.jsonl, line 7") as told:
            form.read(Row(broken, "data.jsonl", 7), SOURCE)
        assert told.value.fix
        assert "\n" not in told.value.what
