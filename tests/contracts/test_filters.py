"""Every step of a corpus: empty and huge texts, the same answer each time, bounds that are on what it measures."""

from pathlib import Path

import pytest

from hanlin.data.contamination import Item, build
from hanlin.data.document import Document
from hanlin.data.step import Step, StepSettings, offered, opened
from hanlin.data.view import View

TEXTS = {
    "empty": "",
    "blank": " \n\n\t\n",
    "one": "a",
    "marks": "!?…，。" * 50,
    "line": "word " * 40_000,
    "chinese": "山里的河很安静，人们带着面包走路，孩子在学校读书。" * 3000,
    "odd": "\x00\ud800 \u202e\ufffd \U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 ﬁ",
    "deep": "(" * 20_000 + "{" * 20_000,
}


@pytest.fixture(params=offered())
def step(request: pytest.FixtureRequest, tmp_path: Path) -> Step:
    """Each step with the settings it comes with, and what it cannot do without."""
    needs: dict[str, object] = {}
    if request.param == "contamination":
        build(tmp_path, [Item("exam/1", "山里的河很安静人们带着面包走路"), Item("exam/2", "word " * 8)])
        needs = {"index": str(tmp_path)}
    return opened([StepSettings.model_validate({"use": request.param, **needs})])[0]


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_a_step_bears_every_text_and_says_the_same_twice(step: Step, text: str) -> None:
    if "\ud800" in text:
        text = text.encode("utf-8", "replace").decode()  # sources give no half surrogates
    tags, changed = step.tag(View(text))
    assert step.tag(View(text)) == (tags, changed)
    assert changed is None or changed != text
    assert all(isinstance(value, int | float | str) for value in tags.values())
    reason = step(Document(text))
    assert reason is None or reason in [rule.name for rule in step.rules()]


def test_what_bounds_are_on_is_measured(step: Step) -> None:
    measured: set[str] = set()
    for text in (
        *TEXTS.values(),
        "这是一段关于天气的话，今天的雨很大，我们都在家里。\n\nThe weather of that day was fine.",
    ):
        measured |= set(step.tag(View(text.encode("utf-8", "replace").decode()))[0])
    assert {rule.tag for rule in step.rules()} <= measured
