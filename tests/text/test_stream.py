"""What is pushed out piece by piece is what decoding gives, and never half a character."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models

from hanlin.core.errors import TokenizerError
from hanlin.text.tokenizer import Tokenizer
from text.conftest import Pair
from text.torture import TEXTS

FAMILY = "👩‍👩‍👧‍👦"


def streamed(ours: Tokenizer, tokens: list[int], skip: bool = False) -> list[str]:
    stream = ours.stream(skip_special=skip)
    return [*(stream.push(token) for token in tokens), stream.finish()]


def test_pushes_join_up_to_what_transformers_decodes(pair: Pair) -> None:
    for text in TEXTS.values():
        tokens = pair.ours.encode(text)
        for skip in (False, True):
            theirs = pair.theirs.decode(tokens, skip_special_tokens=skip)
            assert "".join(streamed(pair.ours, tokens, skip)) == theirs


def test_any_ids_at_all_stream_to_what_transformers_decodes(pair: Pair) -> None:
    size = pair.ours.vocab_size
    # A broken run of SentencePiece's byte tokens shows whole characters here, and only U+FFFD there: tested below.
    single = {at for at in range(size) if pair.name == "gemma3" and pair.ours.backend.id_to_token(at).startswith("<0x")}

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.integers(0, size - 1).filter(lambda token: token not in single), max_size=12), st.booleans())
    def holds(tokens: list[int], skip: bool) -> None:
        theirs = pair.theirs.decode(tokens, skip_special_tokens=skip)
        assert "".join(streamed(pair.ours, tokens, skip)) == pair.ours.decode(tokens, skip_special=skip) == theirs

    holds()


def test_whole_texts_never_show_a_broken_character_on_the_way(pair: Pair) -> None:
    @settings(max_examples=100, deadline=None)
    @given(
        st.text(st.characters(codec="utf-8", max_codepoint=0x3FFFF, exclude_characters="\ufffd"))
    )  # SmolLM2 lacks bytes beyond
    def holds(text: str) -> None:
        pushed = streamed(pair.ours, pair.ours.encode(text))
        assert not any("\ufffd" in piece for piece in pushed)
        assert not pushed[-1]

    holds()


def test_a_family_comes_out_as_it_becomes_whole(pairs: Callable[[str], Pair]) -> None:
    ours = pairs("smollm2").ours
    pieces = [piece for piece in streamed(ours, ours.encode(f"a{FAMILY}b")) if piece]
    assert pieces == ["a", "👩", "\u200d", "👩", "\u200d", "👧", "\u200d", "👦", "b"]


def test_broken_bytes_show_only_once_they_cannot_be_mended(pairs: Callable[[str], Pair]) -> None:
    ours = pairs("gpt2-style").ours
    byte = {ours.token_bytes(at): at for at in range(ours.vocab_size)}
    wo = [byte[bytes([part])] for part in "我".encode()]
    assert streamed(ours, wo) == ["", "", "我", ""]
    assert streamed(ours, wo[:2]) == ["", "", "\ufffd"]
    assert streamed(ours, [*wo[:2], byte[b"a"]]) == ["", "", "\ufffda", ""]
    assert streamed(ours, [wo[1], *wo]) == ["\ufffd", "", "", "我", ""]


def test_byte_tokens_show_whole_characters_even_where_the_run_breaks(pairs: Callable[[str], Pair]) -> None:
    pair = pairs("gemma3")
    run = [pair.ours.backend.token_to_id(f"<0x{part:02X}>") for part in "我".encode()]
    assert streamed(pair.ours, run) == ["", "", "我", ""]
    assert streamed(pair.ours, [*run, *run[:2]]) == ["", "", "我", "", "", "\ufffd\ufffd"]
    assert pair.theirs.decode([*run, *run[:2]]) == "\ufffd" * 5  # Transformers gives up the whole run
    assert pair.theirs.decode(run[:2]) == pair.ours.decode(run[:2]) == "\ufffd\ufffd"


def test_a_token_costs_the_same_late_as_early(pairs: Callable[[str], Pair]) -> None:
    ours = pairs("gpt2-style").ours
    stream, tokens = ours.stream(), ours.encode("token by token 一个一个 " * 40)

    def seconds() -> float:
        begin = time.process_time()
        for token in tokens:
            stream.push(token)
        return time.process_time() - begin

    early = min(seconds() for _ in range(3))
    for _ in range(10):
        seconds()
    assert min(seconds() for _ in range(3)) < 4 * early


LLAMA = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
KINDS = {
    "sentencepiece with a prefix": decoders.Sequence(LLAMA),
    "sentencepiece without": decoders.Sequence(LLAMA[:3]),
    "metaspace": decoders.Metaspace(),
    "metaspace, first only": decoders.Metaspace(prepend_scheme="first"),
    "metaspace, never": decoders.Metaspace(prepend_scheme="never"),
    "word pieces": decoders.WordPiece(),
    "word pieces as they are": decoders.WordPiece(cleanup=False),
    "bytes": decoders.ByteLevel(),
    "bytes in a sequence": decoders.Sequence([decoders.ByteLevel()]),
    "none": None,
}
PIECES = ["▁", "▁▁a", "a", "▁a", "a▁b", "<0x20>", "<0x61>", "Ġa", "Ċ", "##a", "##", ".", "'", "n't", "'s", "do", "not"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_decoder_streams_as_the_library_decodes(kind: str) -> None:
    backend = Backend(models.WordLevel({piece: at for at, piece in enumerate(PIECES)}, unk_token="a"))
    if KINDS[kind]:
        backend.decoder = KINDS[kind]
    ours = Tokenizer(backend, len(PIECES))

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.integers(0, len(PIECES) - 1), max_size=8))
    def holds(tokens: list[int]) -> None:
        assert "".join(streamed(ours, tokens)) == backend.decode(tokens) == ours.decode(tokens)

    holds()


def test_a_decoder_that_needs_the_whole_text_is_refused() -> None:
    backend = Backend(models.WordLevel({"a": 0}, unk_token="a"))
    for decoder in (decoders.BPEDecoder(), decoders.CTC(), decoders.Strip("x", 1, 1)):
        backend.decoder = decoder
        with pytest.raises(TokenizerError):
            Tokenizer(backend, 1).decode([0])
