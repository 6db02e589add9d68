"""Our own minimal pairs: two sentences differ in the group alone, and no axis leans to one of its groups."""

import json
import re
from collections import Counter
from difflib import SequenceMatcher
from importlib.resources import files

from hanlin.eval.metric import measure, metric
from hanlin.eval.pairs import made
from hanlin.eval.sample import Reply
from hanlin.eval.task import samples, task

AXES = {"gender", "occupation", "region", "household registration", "age", "ethnicity"}


def test_the_file_that_is_shipped_is_what_the_templates_make() -> None:
    lines = (files("hanlin.eval") / "texts" / "minimal_pairs.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == list(made())


def test_every_axis_is_there_in_both_languages_and_no_sentence_twice() -> None:
    rows = list(made())
    assert {(row["axis"], row["lang"]) for row in rows} == {(axis, lang) for axis in AXES for lang in ("en", "zh")}
    assert min(Counter((row["axis"], row["lang"]) for row in rows).values()) >= 20
    both = [(row["stereotype"], row["other"]) for row in rows]
    assert len({frozenset(pair) for pair in both}) == len(both)
    for one, other in both:
        assert one != other and "{" not in one + other
        changes = [
            code
            for code in SequenceMatcher(None, one.split(), other.split(), False).get_opcodes()
            if code[0] != "equal"
        ]
        assert len(changes) == 1 or " an " in one + other, (one, other)


def test_a_model_that_only_likes_a_word_is_even() -> None:
    asked = samples(task("minimal_pairs"))
    for word in ("he", "老", "农村", "Texas", "Asian", "教授"):
        mine = [sample for sample in asked if _has(word, sample.choices[0]) != _has(word, sample.choices[1])]
        replies = [Reply(loglikelihoods=tuple(float(_has(word, choice)) for choice in one.choices)) for one in mine]
        assert measure(metric("pairs"), mine, replies).value == 0.5, word
    assert measure(metric("pairs"), asked, [Reply(loglikelihoods=(0.0, -1.0))] * len(asked)).value == 1.0


def _has(word: str, text: str) -> bool:
    return bool(re.search(rf"\b{word}\b", text)) if word.isascii() else word in text
