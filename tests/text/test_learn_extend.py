"""An extended tokenizer: old text keeps its ids, new tokens come apart into the old ones, and others read it alike."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from hanlin.cli.vocabulary import tokenizer_of
from hanlin.core.errors import DataError, TokenizerError
from hanlin.text.folder import load_folder, save_folder
from hanlin.text.gguf import from_metadata, to_metadata
from hanlin.text.learn.extend import Extension, from_corpus, with_tokens
from hanlin.text.learn.settings import LearnSettings
from hanlin.text.learn.train import learn
from hanlin.text.tokenizer import Tokenizer
from text.conftest import Pair
from text.torture import TEXTS

POEM = "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n明月幾時有？把酒問青天。不知天上宮闕，今夕是何年。\n"
HELD = "海上生明月，天涯共此時。情人怨遙夜，竟夕起相思。滅燭憐光滿，披衣覺露滋。\n"


@pytest.fixture(scope="module")
def old(pairs: Callable[[str], Pair]) -> Tokenizer:
    return pairs("smollm2").ours


@pytest.fixture(scope="module")
def grown(old: Tokenizer) -> Extension:
    return from_corpus(old, [POEM * 3], 30)


def test_new_tokens_come_apart_into_the_old_ids_of_any_text(old: Tokenizer, grown: Extension) -> None:
    assert grown.tokenizer.vocab_size == old.vocab_size + 30
    assert sorted(grown.made_of) == list(range(old.vocab_size, old.vocab_size + 30))
    for case, text in {**TEXTS, "held": HELD, "poem": POEM}.items():
        assert grown.apart(grown.tokenizer.encode(text)) == old.encode(text), case
        assert grown.tokenizer.decode(grown.tokenizer.encode(text)) == old.decode(old.encode(text)), case
    assert grown.tokenizer.encode("Old English text, 123.") == old.encode("Old English text, 123.")
    assert len(grown.tokenizer.encode(HELD)) < len(old.encode(HELD))


def test_a_vocabulary_with_spare_ids_and_another_way_to_cut_grows_too(pairs: Callable[[str], Pair]) -> None:
    old = pairs("qwen2.5").ours
    grown = from_corpus(old, [POEM * 3], 10)
    assert min(grown.made_of) == old.vocab_size
    for case, text in {**TEXTS, "held": HELD}.items():
        assert grown.apart(grown.tokenizer.encode(text)) == old.encode(text), case


def test_a_new_token_says_what_its_old_ones_said(old: Tokenizer, grown: Extension) -> None:
    for at, parts in grown.made_of.items():
        assert grown.tokenizer.token_bytes(at) == b"".join(map(old.token_bytes, parts))


def test_each_new_token_is_the_pair_that_saves_most(old: Tokenizer) -> None:
    cut = old.backend.pre_tokenizer.pre_tokenize_str(POEM)
    words = Counter(POEM[begin:end] for _, (begin, end) in cut)
    state = {word: [(at,) for at in old.encode(word, add_special=False)] for word in words}
    made = from_corpus(old, [POEM], 12).made_of
    for parts in made.values():
        pairs_of = Counter()
        for word, tokens in state.items():
            for left, right in pairwise(tokens):
                pairs_of[(left, right)] += words[word]
        best = max(pairs_of.values())
        chosen = [pair for pair in pairs_of if pair[0] + pair[1] == parts]
        assert max(pairs_of[pair] for pair in chosen) == best
        for tokens in state.values():
            at = 0
            while at < len(tokens) - 1:
                if (tokens[at], tokens[at + 1]) in chosen:
                    tokens[at : at + 2] = [parts]
                at += 1


def test_transformers_our_folder_and_gguf_read_the_same_ids(grown: Extension, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    save_folder(grown.tokenizer, tmp_path)
    theirs, ours = AutoTokenizer.from_pretrained(tmp_path), load_folder(tmp_path)
    back = from_metadata(to_metadata(grown.tokenizer))
    for case, text in {**TEXTS, "held": HELD}.items():
        wanted = grown.tokenizer.encode(text)
        assert wanted == ours.encode(text) == theirs(text)["input_ids"] == back.encode(text), case


def test_tokens_of_ones_own_are_found_whole(old: Tokenizer) -> None:
    made = with_tokens(old, ["蘇軾詩集", "Hanlin Academy", "the", "Hanlin Academy"])
    first = old.vocab_size
    assert made.known == ("the",)
    assert made.made_of == {
        first: tuple(old.encode("蘇軾詩集")),
        first + 1: tuple(old.encode("Hanlin Academy")),
    }
    text = "In Hanlin Academy: 蘇軾詩集"
    assert made.tokenizer.encode(text)[-1] == first
    assert made.apart(made.tokenizer.encode("蘇軾詩集")) == old.encode("蘇軾詩集")
    assert made.tokenizer.decode(made.tokenizer.encode(text)) == text
    for case, other in TEXTS.items():
        assert made.tokenizer.encode(other) == old.encode(other), case


def test_what_cannot_be_added_is_told(old: Tokenizer, smollm2: Path) -> None:
    for tokens in (["  "], ["a\0b"], ["the"], ["Ġthe"]):
        with pytest.raises(DataError):
            with_tokens(tokenizer_of(smollm2), tokens)
    with pytest.raises(DataError, match="no pair"):
        from_corpus(old, ["a b c"], 5)
    with pytest.raises(DataError, match="empty"):
        from_corpus(old, [""], 5)
    other = learn([POEM * 20], LearnSettings(kind="wordpiece", vocabulary=560))
    with pytest.raises(TokenizerError, match="byte-level BPE"):
        from_corpus(other, [POEM], 5)
    assert with_tokens(other, ["Hanlin"]).tokenizer.encode("Hanlin") == [other.vocab_size]
