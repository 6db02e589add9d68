"""Tokenizers out of GGUF metadata and back: the same ids, the file's own keys, and damage told by its key."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from tokenizers import AddedToken, pre_tokenizers
from tokenizers import Tokenizer as Backend

from hanlin.core.errors import TokenizerError
from hanlin.text.folder import load_folder
from hanlin.text.gguf import from_metadata, to_metadata
from hanlin.text.pretokenizers import KINDS, name_of
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer
from text.conftest import Pair
from text.torture import TEXTS

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
TINY: dict[str, Any] = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": [*LETTERS, "he", "ll", "hell", "<|end|>", "<think>"],
    "tokenizer.ggml.token_type": [1] * (len(LETTERS) + 3) + [3, 4],
    "tokenizer.ggml.merges": ["h e", "l l", "he ll"],
    "tokenizer.ggml.eos_token_id": 259,
    "tokenizer.chat_template": "hi {{ eos_token }}",
}


def same(one: Tokenizer, other: Tokenizer) -> None:
    for case, text in TEXTS.items():
        assert one.encode(text) == other.encode(text), case
    assert (one.bos, one.eos, one.pad, one.unk, one.vocab_size) == (
        other.bos,
        other.eos,
        other.pad,
        other.unk,
        other.vocab_size,
    )
    assert one.template == other.template


@pytest.fixture(scope="module")
def written(pairs: Callable[[str], Pair]) -> Callable[[str], dict[str, Any]]:
    """`written("gemma3")` is what we would put into a file for that tokenizer."""
    return cache(lambda name: to_metadata(pairs(name).ours))


@pytest.mark.parametrize("name", ["smollm2", "qwen2.5", "gemma3", "gpt2-style"])
def test_what_is_written_reads_back_as_the_same_tokenizer(
    name: str, pairs: Callable[[str], Pair], written: Callable[[str], dict[str, Any]]
) -> None:
    same(from_metadata(written(name)), pairs(name).ours)


@pytest.mark.parametrize("name", ["smollm2", "qwen2.5", "gemma3"])
def test_a_real_files_keys_are_written_as_they_were(
    name: str, written: Callable[[str], dict[str, Any]], gguf: Callable[[str], dict[str, Any]]
) -> None:
    ours, file = written(name), gguf(name)
    for key in ours.keys() & file.keys() - {"tokenizer.ggml.scores"}:  # any falling numbers say the same
        assert ours[key] == file[key], key
    said = {key for key in file if key.startswith("tokenizer.")} - ours.keys()
    assert said <= {"tokenizer.ggml.add_space_prefix", "tokenizer.ggml.add_sep_token"}  # false, where there are none


def test_patterns_are_the_published_ones() -> None:
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    known = {name: kind.pattern for name, kind in KINDS.items() if kind.pattern is not None}
    assert known == {name: GGUF_PRE_TOKENIZER_SPLITS[name] for name in known}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_recognised_again(name: str) -> None:
    tiny = from_metadata({**TINY, "tokenizer.ggml.pre": name})
    assert KINDS[name_of(tiny.backend)] == KINDS[name]
    same(from_metadata(to_metadata(tiny)), tiny)


def test_kinds_cut_as_their_models_do() -> None:
    def pieces(kind: str, text: str) -> list[str]:
        ours = from_metadata({**TINY, "tokenizer.ggml.pre": kind}).backend
        cut = ours.pre_tokenizer.pre_tokenize_str(ours.normalizer.normalize_str(text) if ours.normalizer else text)
        return [text[begin:end] for _, (begin, end) in cut]

    assert pieces("gpt-2", "it'S  1234") == ["it", "'", "S", " ", " 1234"]
    assert pieces("smollm", "it's  1234") == ["it", "'s", "  ", "1", "2", "3", "4"]
    assert pieces("llama-bpe", "IT'S  1234") == ["IT", "'S", " ", " ", "123", "4"]
    assert pieces("qwen2", "it's 12") == ["it", "'s", " ", "1", "2"]
    assert pieces("tekken", "helloWorld/1") == ["hello", "World", "/", "1"]


def test_llama_3_takes_whole_words_and_begins_with_bos() -> None:
    bare = {**TINY, "tokenizer.ggml.merges": ["h e", "l l"], "tokenizer.ggml.bos_token_id": 259}
    assert from_metadata(bare).encode("hell") == [256, 257]
    assert from_metadata({**bare, "tokenizer.ggml.pre": "llama-bpe"}).encode("hell") == [259, 258]


def test_marks_are_found_in_text_and_only_special_ones_are_special() -> None:
    tiny = from_metadata(TINY)
    assert tiny.encode("hell<|end|><think>") == [258, 259, 260]
    assert [tiny.is_special(at) for at in (258, 259, 260)] == [False, True, False]
    assert tiny.encode("<|end|><think>", parse_special=False)[-1] == 260
    assert tiny.decode([258, 259, 260], skip_special=True) == "hell<think>"


def test_flags_and_named_templates_come_from_the_file() -> None:
    flags = {"tokenizer.ggml.bos_token_id": 260, "tokenizer.ggml.add_bos_token": True}
    flags |= {"tokenizer.ggml.add_eos_token": True, "tokenizer.chat_template.tool_use": "with tools"}
    tiny = from_metadata({**TINY, **flags})
    assert tiny.encode("he") == [260, 256, 259]
    assert tiny.encode("he", add_special=False) == [256]
    assert tiny.template == ChatTemplate(
        "hi {{ eos_token }}", {"bos_token": "<think>", "eos_token": "<|end|>"}, {"tool_use": "with tools"}
    )
    same(from_metadata(to_metadata(tiny)), tiny)


def test_more_ends_than_gguf_has_words_for_are_kept() -> None:
    ends = (259, 260, 256, 257, 258)
    tiny = Tokenizer(from_metadata(TINY).backend, 261, eos=ends)
    assert from_metadata(to_metadata(tiny)).eos == ends


def test_a_larger_embedding_is_filled_with_unused_tokens() -> None:
    written = to_metadata(from_metadata(TINY), size=264)
    assert written["tokenizer.ggml.tokens"][261:] == ["[PAD261]", "[PAD262]", "[PAD263]"]
    assert written["tokenizer.ggml.token_type"][259:] == [3, 4, 5, 5, 5]
    assert from_metadata(written).vocab_size == 264


DAMAGED: dict[str, dict[str, Any]] = {
    "tokenizer.ggml.model is None": {"tokenizer.ggml.model": None},
    "tokenizer.ggml.model is 'bert'": {"tokenizer.ggml.model": "bert"},
    "cuts text in the way 'gpt-5'": {"tokenizer.ggml.pre": "gpt-5"},
    "cuts text in the way 'default'": {"tokenizer.ggml.pre": "default"},
    "no tokenizer.ggml.tokens": {"tokenizer.ggml.tokens": []},
    "tokens is not a list of str": {"tokenizer.ggml.tokens": ["a", 1]},
    "tokens holds 'a' twice": {"tokenizer.ggml.tokens": ["a", "b", "a"], "tokenizer.ggml.token_type": []},
    "token_type has 2 entries for 261 tokens": {"tokenizer.ggml.token_type": [1, 1]},
    "merges holds a line that is no pair": {"tokenizer.ggml.merges": ["he"]},
    "the tokenizer in the GGUF file is damaged": {"tokenizer.ggml.merges": ["x yz"]},
    "eos_token_id = 261 is no token": {"tokenizer.ggml.eos_token_id": 261},
    "bos_token_id = -1 is no token": {"tokenizer.ggml.bos_token_id": -1},
    "bos_token_id = True is no token": {"tokenizer.ggml.bos_token_id": True},
    "add_bos_token = 1 is not true or false": {"tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.add_bos_token": 1},
    "chat_template is not text": {"tokenizer.chat_template": 7},
    "eos_token_ids = .*is no list": {"tokenizer.hanlin.eos_token_ids": [999]},
    "scores has 1 entries": {"tokenizer.ggml.model": "llama", "tokenizer.ggml.scores": [0.5]},
}


@pytest.mark.parametrize("told", DAMAGED)
def test_damage_is_told_by_its_key(told: str) -> None:
    with pytest.raises(TokenizerError, match=told) as caught:
        from_metadata({**TINY, **DAMAGED[told]})
    assert caught.value.fix


def test_what_gguf_cannot_say_is_refused(pairs: Callable[[str], Pair]) -> None:
    with pytest.raises(TokenizerError, match="WordPiece"):
        to_metadata(pairs("minilm").ours)
    odd = from_metadata(TINY).backend
    odd.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    with pytest.raises(TokenizerError, match="no name for how this tokenizer cuts text"):
        to_metadata(Tokenizer(odd, 261))
    spaced = from_metadata(TINY).backend
    spaced.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    with pytest.raises(TokenizerError, match="<mask>"):
        to_metadata(Tokenizer(spaced, 262))


@pytest.fixture(scope="module", params=[True, False], ids=["prefix", "no prefix"])
def pieces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a SentencePiece model of Llama's kind, trained here."""
    folder = tmp_path_factory.mktemp("pieces")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*TEXTS["chinese"], *" ".join(TEXTS.values()).split("\n")] * 3),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=900,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=request.param,
        user_defined_symbols=["<think>"],
        minloglevel=2,
    )
    return folder


def test_sentencepiece_models_encode_and_decode_as_sentencepiece_does(pieces: Path) -> None:
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(pieces / "tokenizer.model"))
    ours = load_folder(pieces)
    for case, text in TEXTS.items():
        if "\0" in text or "special" in case or "\u2581" in text or not text:
            continue  # SentencePiece stops at NUL, knows no special tokens in text, and folds its own space
        tokens = ours.encode(text, add_special=False)
        assert tokens == theirs.encode(text), case
        assert ours.decode(tokens) == theirs.decode(tokens) == text, case
    assert ours.encode("a") == [1, *theirs.encode("a")]
    assert (ours.bos, ours.eos, ours.unk, ours.vocab_size) == (1, (2,), 0, 900)


def test_sentencepiece_models_go_through_gguf_unchanged(pieces: Path) -> None:
    ours = load_folder(pieces)
    written = to_metadata(ours)
    same(from_metadata(written), ours)
    assert written["tokenizer.ggml.model"] == "llama"
    assert "tokenizer.ggml.merges" not in written  # the scores say it all
    short = to_metadata(Tokenizer(_without_merges(ours.backend), ours.vocab_size))
    assert "tokenizer.ggml.merges" in short  # here they would say too much
    assert from_metadata(short).encode("the text") == Tokenizer(_without_merges(ours.backend), 900).encode("the text")


def _without_merges(backend: Backend) -> Backend:
    """The same vocabulary with half of its merges."""
    state = json.loads(backend.to_str())
    state["model"]["merges"] = state["model"]["merges"][::2]
    state["post_processor"] = None
    return Backend.from_str(json.dumps(state))


def test_transformers_llama_tokenizer_goes_through_gguf_unchanged(pieces: Path, tmp_path: Path) -> None:
    from transformers import LlamaTokenizer

    model = json.loads(load_folder(pieces).backend.to_str())["model"]
    theirs = LlamaTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])
    theirs.save_pretrained(tmp_path)
    ours = load_folder(tmp_path)
    assert all(ours.encode(text) == theirs.encode(text) for text in TEXTS.values())
    written = to_metadata(ours)
    assert written["tokenizer.hanlin.space_prefix"] == "first"
    same(from_metadata(written), ours)


def test_other_sentencepiece_models_are_refused(tmp_path: Path) -> None:
    folder = tmp_path
    lines = iter([*"abcdefgh", *"the quick brown fox jumps over the lazy dog".split()] * 20)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines, model_prefix=str(folder / "tokenizer"), vocab_size=30, minloglevel=2
    )
    with pytest.raises(TokenizerError, match="unigram model"):
        load_folder(folder)
    whole = (folder / "tokenizer.model").read_bytes()
    for damaged in (b"", b"\xff" * 100, whole[:-7], b"not a model at all"):
        (folder / "tokenizer.model").write_bytes(damaged)
        with pytest.raises(TokenizerError):
            load_folder(folder)
