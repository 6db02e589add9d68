"""Every stage of the tour speaks both languages, and the default tour takes each of them once."""

import string

import pytest

from hanlin.cli.tour.settings import STAGES
from hanlin.core.plugins import find, names

FOLDER = "hanlin.cli.tour.stages"


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_the_default_tour_takes_every_stage_once() -> None:
    assert sorted(STAGES) == names(FOLDER)


@pytest.mark.parametrize("name", names(FOLDER))
def test_a_stage_says_every_sentence_in_both_languages_with_the_same_values(name: str) -> None:
    stage = find(FOLDER, name)
    sentences = {key: value for key, value in vars(stage).items() if key.isupper() and isinstance(value, dict)}
    assert {"TITLE", "WHY"} <= set(sentences)
    for key, value in sentences.items():
        assert set(value) == {"en", "zh"}, key
        if isinstance(value["en"], dict):  # a table of words, not a sentence
            continue
        assert fields(value["en"]) == fields(value["zh"]), key
        assert any("\u4e00" <= character <= "\u9fff" for character in value["zh"]), key
