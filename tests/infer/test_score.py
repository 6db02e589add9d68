"""Scores follow lm-eval's rolling windows, and the likelihoods are those of one pass over the same tokens."""

import math
import random
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.core.errors import ConfigError, DataError, RefusedError, WeightsError
from hanlin.infer import score as scoring
from hanlin.infer.score import Score, logprobs, score, windows
from hanlin.model.decoder import Decoder
from hanlin.text.tokenizer import Tokenizer

TEXT = "It is a truth universally acknowledged,\nthat a single man  in possession of a good fortune… 翰林 🙂\n"


def rolling(tokens: list[int], prefix: int, window: int, context: int) -> Iterator[tuple[list[int], list[int]]]:
    """lm-eval's definition over the whole list: (input, predicted) with `context` inputs shared between windows."""
    first = min(window, len(tokens))
    yield [prefix, *tokens[: first - 1]], tokens[:first]
    done = first
    while done < len(tokens):
        count = min(len(tokens) - done, window - context + 1)
        end = done + count
        yield tokens[end - window - 1 : end - 1], tokens[end - count : end]
        done = end


@given(st.integers(1, 60), st.integers(1, 12), st.data())
@settings(max_examples=300, deadline=None)
def test_windows_are_those_of_lm_eval(count: int, window: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, window))
    tokens = random.Random(count).choices(range(1000), k=count)
    mine = [(ids[:-1], ids[len(ids) - new :]) for ids, new in windows(iter(tokens), -1, window, stride)]
    assert mine == list(rolling(tokens, -1, window, window - stride + 1))
    assert [token for _, new in mine for token in new] == tokens


def test_a_score_is_the_sum_over_one_pass_when_the_text_fits(network: Decoder, bytewise: Tokenizer) -> None:
    *_, found = score(network, bytewise, [TEXT[:50]], window=64)
    ids = torch.tensor([[bytewise.eos[0], *bytewise.encode(TEXT[:50], parse_special=False)]])
    expected = network(ids[:, :-1]).log_softmax(-1).gather(2, ids[:, 1:, None]).sum()
    assert found.loglikelihood == pytest.approx(float(expected), rel=1e-5)
    assert (found.tokens, found.bytes) == (ids.shape[1] - 1, 50 + 2 * TEXT[:50].count("…"))


@pytest.mark.parametrize("stride", [None, 1, 5])
def test_a_long_text_is_the_sum_over_its_windows(
    network: Decoder, bytewise: Tokenizer, stride: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "HEAD_NUMBERS", 700)  # the head in slices of two
    *_, found = score(network, bytewise, [TEXT] * 3, window=16, stride=stride)
    tokens = bytewise.encode(TEXT * 3)
    expected = 0.0
    for seen, wanted in rolling(tokens, bytewise.eos[0], 16, 1 if stride is None else 16 - stride + 1):
        own = network(torch.tensor([seen]))[0].log_softmax(-1)[-len(wanted) :]
        expected += float(own.gather(1, torch.tensor(wanted)[:, None]).sum())
    assert found.loglikelihood == pytest.approx(expected, rel=1e-5)
    assert found.tokens == len(tokens)


@given(st.lists(st.text("ab \n翰", max_size=6), max_size=8))
@settings(max_examples=200, deadline=None)
def test_words_and_bytes_do_not_depend_on_how_the_text_comes(blocks: list[str]) -> None:
    from hanlin.infer.score import _Sizes
    from hanlin.text.long import Piece

    sizes = _Sizes()
    list(sizes.counted(Piece([], block, True) for block in blocks if block))
    whole = "".join(blocks)
    assert sizes.score.words == len(whole.split())
    assert sizes.score.bytes == len(whole.encode())


def test_measures_are_those_of_their_formulas() -> None:
    found = Score(loglikelihood=-120.0, tokens=40, words=10, bytes=50)
    assert found.perplexity == pytest.approx(math.exp(3))
    assert found.word_perplexity == pytest.approx(math.exp(12))
    assert found.bits_per_byte == pytest.approx(120 / 50 / math.log(2))
    assert Score(-1e9, 1, 0, 1).perplexity == math.inf
    assert math.isnan(Score(-1.0, 1, 0, 1).word_perplexity)
    assert found + found == Score(-240.0, 80, 20, 100)


def test_the_likelihood_of_a_file_does_not_depend_on_its_blocks(network: Decoder, bytewise: Tokenizer) -> None:
    text = TEXT * 5
    *_, whole = score(network, bytewise, [text], window=32)
    *_, parts = score(network, bytewise, [text[start : start + 7] for start in range(0, len(text), 7)], window=32)
    assert whole == parts


@pytest.mark.parametrize(("window", "stride"), [(8, 0), (8, 9), (0, None), (8, -1)])
def test_a_stride_that_does_not_fit_the_window_is_refused(
    network: Decoder, bytewise: Tokenizer, window: int, stride: int | None
) -> None:
    with pytest.raises(ConfigError, match="stride"):
        list(score(network, bytewise, [TEXT], window=window, stride=stride))


def test_an_empty_text_and_a_tokenizer_without_a_beginning_are_refused(network: Decoder, bytewise: Tokenizer) -> None:
    with pytest.raises(DataError, match=r"poem\.txt is empty"):
        list(score(network, bytewise, [], name="poem.txt"))
    with pytest.raises(RefusedError, match="no BOS"):
        list(score(network, Tokenizer(bytewise.backend, bytewise.vocab_size), [TEXT]))


def test_damaged_weights_are_an_error_and_no_figure(network: Decoder, bytewise: Tokenizer) -> None:
    weight = network.norm.weight
    before = weight.clone()
    try:
        weight[0] = float("nan")  # pyright: ignore
        with pytest.raises(WeightsError, match="nan"):
            list(score(network, bytewise, [TEXT], window=16))
    finally:
        weight.copy_(before)  # pyright: ignore


def test_log_probabilities_of_the_last_tokens_are_given_all_before(network: Decoder) -> None:
    ids = torch.tensor([1, 5, 9, 30, 2])
    expected = network(ids[None, :-1])[0].log_softmax(-1).gather(1, ids[1:, None])[:, 0]
    torch.testing.assert_close(logprobs(network, ids, 2), expected[-2:])
