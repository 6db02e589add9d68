"""Runs of 13 words that train and validation share are found, whatever the tokens."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.data.batch import Marked
from hanlin.data.encoded import Encoded, in_memory
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate import shares, survey
from hanlin.train.gate.check import inspect
from hanlin.train.gate.inputs import Inputs
from hanlin.train.gate.report import Report
from hanlin.train.gate.survey import blocks, chosen
from hanlin.train.gate.words import RUN, Words, runs
from train.gate.cases import run, sentence

Judge = Callable[[Sequence[str], Sequence[str]], Report]
POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"


def texts(given: Sequence[str], tokenizer: Tokenizer) -> Encoded:
    return in_memory([Marked(np.array([*tokenizer.encode(text), 2], np.int32)) for text in given], "texts.txt")


@pytest.fixture
def judged(tokenizer: Tokenizer) -> Judge:
    def made(train: Sequence[str], held: Sequence[str]) -> Report:
        parts = [texts(train, tokenizer)], [texts(held, tokenizer)]
        return inspect(Inputs(run(use="next_token"), *parts, tokenizer, tokenizer.vocab_size))

    return made


def own(first: int, count: int = 30) -> list[str]:
    """Texts that share nothing."""
    places = range(first, first + count)
    return [" ".join(f"{word}{number}" for word in sentence(number, 20).split()) for number in places]


def plain_words(text: str) -> list[str]:
    """The same words, told by Python's own Unicode tables."""
    return re.findall(r"[\u3041-\u30ff\u3400-\u9fff]|[^\W_\u3041-\u30ff\u3400-\u9fff]+", text.lower())


def test_texts_that_share_nothing_pass(judged: Judge) -> None:
    found = judged(own(0), own(100))
    assert not found.refusals and not found.notices


def test_thirteen_shared_words_are_refused_twelve_are_not(judged: Judge) -> None:
    quoted = "one two three four five six seven eight nine ten eleven twelve thirteen".split()
    train = [*own(0), "Before: " + " ".join(quoted) + " and after"]
    twelve = [*own(100, 9), "Elsewhere " + " ".join(quoted[:12]) + " differently"]
    assert not judged(train, twelve).refusals
    thirteen = [*own(100, 9), "Elsewhere ONE, two; three  four five\nsix-seven " + " ".join(quoted[7:]) + " again"]
    (one,) = judged(train, thirteen).refusals
    assert one.name == "overlap" and "10.0%" in one.what
    assert "texts.txt, line 10 and texts.txt, line 31 have 'ONE, two; three" in one.what
    assert "ONE, two" in "".join(piece.text for piece in one.sample)


def test_thirteen_chinese_characters_are_a_run_whatever_the_marks_between_them(judged: Judge) -> None:
    train = [*own(0), POEM]
    assert [one.name for one in judged(train, ["诗曰：床前明月光疑是地上霜举头望明月，下略"]).refusals] == ["overlap"]
    assert not judged(train, ["诗曰：床前明月光疑是地上霜举头，下略"]).refusals


def test_the_same_words_in_other_tokens_are_found(judged: Judge, tokenizer: Tokenizer) -> None:
    text = "Thunder" + " rolls over the harbour while seven lanterns swing above the old stone bridge"
    begun, within = tokenizer.encode(text), tokenizer.encode(" " + text)
    assert begun[0] != within[0]
    (one,) = judged([*own(0), text], [f"He wrote: {text}!"]).refusals
    assert one.name == "overlap"


def test_a_share_below_the_limit_is_told_and_passes(judged: Judge) -> None:
    found = judged([*own(0), POEM], [*own(100, 39), f"诗：{POEM}"])
    assert not found.refusals and any("2.5%" in notice for notice in found.notices)


def test_formulas_that_many_training_examples_have_do_not_count(judged: Judge) -> None:
    licence = "Permission is hereby granted free of charge to any person obtaining a copy of this software"
    train = [f"{licence} {text}" for text in own(0, 20)]
    assert not judged(train, [*own(100, 3), f"{licence} {own(200, 1)[0]}"]).refusals
    assert [one.name for one in judged([*train[:8], *own(50)], [*own(100, 3), f"{licence} xyz"]).refusals] == [
        "overlap"
    ]


def test_what_most_validation_examples_have_does_not_count(judged: Judge) -> None:
    system = "you are a helpful assistant who answers every question briefly and in plain words only"
    held = [f"{system} {text}" for text in own(100, 3)]
    assert not judged([f"{system} {text}" for text in own(0, 5)], held).refusals


def test_copies_of_one_leaked_text_are_no_formula(judged: Judge) -> None:
    assert [one.name for one in judged([*own(0), *[POEM] * 50], [*own(100, 3), f"诗：{POEM}"]).refusals] == ["overlap"]


def test_a_short_quotation_in_a_long_text_does_not_count(judged: Judge) -> None:
    long = " ".join(own(100, 30))
    assert not judged([*own(0), POEM[:14] + POEM[:3]], [f"{long} {POEM[:14]}{POEM[:3]}"]).refusals


@pytest.mark.parametrize("block", [40, 1 << 19])
def test_runs_are_those_of_words_found_by_pythons_own_tables(
    tokenizer: Tokenizer, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "BLOCK", block)
    held = texts(
        [POEM, "Das Mädchen läuft über die Straße, Тихо в лесу; 一二三 forty-two cafés do not close", POEM * 2],
        tokenizer,
    )
    words = Words(tokenizer)
    got: list[tuple[int, int]] = []
    for part, _ in blocks([held], chosen([held], 1 << 30)):
        hashes, owners = runs(words, part)
        got += [(int(hash_), part.places[owner][1]) for hash_, owner in zip(hashes, owners, strict=True)]
    said = [plain_words(tokenizer.decode(held[number].ids[:-1].tolist())) for number in range(3)]
    want = [(tuple(it[at : at + RUN]), number) for number, it in enumerate(said) for at in range(len(it) - RUN + 1)]
    assert [owner for _, owner in got] == [owner for _, owner in want]
    assert len({hash_ for hash_, _ in got}) == len({words for words, _ in want})
    pairs = {(hash_, words) for (hash_, _), (words, _) in zip(got, want, strict=True)}
    assert len(pairs) == len({hash_ for hash_, _ in got}), "equal words have equal hashes"


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Z", "S")), max_size=80))
def test_any_text_has_runs_without_a_crash(text: str) -> None:
    from infer.tiny import tokenizer as tiny

    made = tiny()
    part = in_memory([Marked(np.array(made.encode(text, parse_special=False), np.int32))])
    for block, _ in blocks([part], chosen([part], 10)):
        hashes, owners = runs(Words(made), block)
        assert len(hashes) == len(owners)


def test_of_very_large_data_a_part_is_read_and_that_is_said(judged: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MOST_TRAINING", 500)
    monkeypatch.setattr(survey, "MOST_TOKENS", 500)
    notices = "\n".join(judged(own(0, 40), own(100, 10)).notices)
    assert "the overlap was looked for in" in notices and "of the examples of data.train" in notices
