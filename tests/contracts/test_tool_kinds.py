"""Every form of tool calls: recognised in what a template writes, and read back as what was written."""

import inspect
import json
import random
from typing import Any

import pytest

from hanlin.core.plugins import find, names
from hanlin.serve.tools.delta import CallArguments, CallBegin, Notice, TextDelta, joined
from hanlin.serve.tools.form import Probe
from hanlin.serve.tools.kind import FOLDER, kind_of
from serve.tools.forms import KINDS, TEMPLATES, TOOLS, tokenizer

WRITTEN = sorted(set(TEMPLATES) - {"plain"})


@pytest.mark.parametrize("name", names(FOLDER))
def test_a_kind_defines_what_is_asked_of_it(name: str) -> None:
    kind = find(FOLDER, name)
    assert kind.OPENINGS and all(kind.OPENINGS) and kind.IS_BARE in (True, False)
    assert inspect.isgeneratorfunction(inspect.unwrap(kind.read))
    assert kind.recognise(Probe()) is None, "nothing was written"
    rng = random.Random(0)
    for one in (kind.call_id(rng), kind.fitting_id("call_of another server!")):
        assert kind.fitting_id(one) == one


@pytest.mark.parametrize("name", names(FOLDER))
def test_a_kind_is_met_by_a_template_here(name: str) -> None:
    assert name in {KINDS.get(form, form) for form in WRITTEN}


@pytest.mark.parametrize("has_marks", [False, True])
@pytest.mark.parametrize("form", WRITTEN)
def test_what_a_template_writes_of_calls_is_read_back_as_those_calls(form: str, has_marks: bool) -> None:
    made = tokenizer(form, has_marks)
    kind = kind_of(made)
    assert (kind.name, kind.notices, kind.renders_tools) == (KINDS.get(form, form), (), True)
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("get_weather", {"city": 'a "b" 翰'}),
        ("现在", {"zone": "UTC", "deep": [1]}),
    ]
    wanted = wanted if kind.form.between is not None else wanted[:1]
    calls = [
        {
            "id": find(FOLDER, kind.name).call_id(random.Random(place)),
            "function": {"name": name, "arguments": arguments},
        }
        for place, (name, arguments) in enumerate(wanted)
    ]
    asked = [{"role": "user", "content": "?"}]
    turns = kind.messages([*asked, {"role": "assistant", "tool_calls": calls}], TOOLS)
    assert made.template is not None
    before = made.template.render(asked, False, TOOLS)
    written = made.template.render(turns, False, TOOLS).removeprefix(before).removeprefix("<turn>assistant: ")
    for is_strict in (False, True):
        parser = kind.parser(TOOLS, is_strict=is_strict)
        deltas = joined(parser.push(written.removesuffix("<end>")) + parser.finish())
        begun = [delta.name for delta in deltas if isinstance(delta, CallBegin)]
        told = [delta.text for delta in deltas if isinstance(delta, CallArguments)]
        assert list(zip(begun, map(json.loads, told), strict=True)) == wanted
        assert not any(isinstance(delta, TextDelta | Notice) for delta in deltas)
