"""Each reward keeps its contract: its own examples, any text, the same score twice."""

from typing import Any

import pytest

from hanlin.core.errors import ConfigError
from hanlin.core.plugins import find, names
from hanlin.core.settings import parse
from hanlin.train.rewards.number import read

FOLDER = "hanlin.train.rewards"
CASES = [(name, *example) for name in names(FOLDER) for example in find(FOLDER, name).EXAMPLES]
HOSTILE = [
    "",
    " ",
    "\n" * 50,
    "9" * 5000,
    "1" + ",000" * 2000,
    "-" * 5000,
    "答" * 5000,
    "\\boxed{" * 500,
    "####",
    "\x00",
    "1e99",
]


@pytest.mark.parametrize(("name", "settings", "answer", "facts", "score"), CASES)
def test_answers_are_worth_what_the_examples_say(
    name: str, settings: dict[str, Any], answer: str, facts: dict[str, Any], score: float
) -> None:
    assert parse(find(FOLDER, name).Reward, settings).score(answer, facts) == score


@pytest.mark.parametrize("name", names(FOLDER))
def test_any_text_has_a_score_between_0_and_1(name: str) -> None:
    reward = find(FOLDER, name).Reward()
    facts = dict.fromkeys(reward.NEEDS, "42")
    for text in HOSTILE:
        score = reward.score(text, facts)
        assert 0 <= score <= 1
        assert reward.score(text, facts) == score


@pytest.mark.parametrize("name", names(FOLDER))
def test_missing_facts_are_told_beforehand(name: str) -> None:
    reward = find(FOLDER, name).Reward()
    for need in reward.NEEDS:
        assert need in (reward.wrong({}) or "")
    assert reward.wrong(dict.fromkeys(reward.NEEDS, "42")) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10,000 people", 10000),
        ("1,23", 23),
        ("5-3", 3),
        ("v1.0 of x2", None),
        ("-5%", -0.05),
        ("is 2 / 4", 0.5),
        (".5", 0.5),
        ("1e3", 1000),
        ("the answer is 5, since 2 + 3 = 5 and 6 > 5", 5),
        ("３．５", 3.5),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: float | None) -> None:
    assert read(text) == (None if number is None else pytest.approx(number))


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 9 and at most 3"):
        parse(find(FOLDER, "length").Reward, {"least": 9, "most": 3})
