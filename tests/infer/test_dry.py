"""DRY: the penalties of the proposal's own words, written out slowly, and those of llama.cpp."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.infer.dry import Dry
from hanlin.infer.sampling import Sampling
from hanlin.text.tokenizer import Tokenizer
from infer import tiny
from model.gguf import llamacpp

TOKENIZER = tiny.tokenizer()
A, B, C, COLON, AB = 97, 98, 99, 58, 256
"""Single bytes, and the token that writes "ab"."""


def penalties(tokens: Sequence[int], sampling: Sampling, prompt: int, tokenizer: Tokenizer = TOKENIZER) -> list[float]:
    dry = Dry(tokens[:prompt], tokenizer, sampling)
    for token in tokens[prompt:]:
        dry.add(token)
    zeros = np.zeros(tokenizer.vocab_size)
    return (-dry.penalise(zeros)).tolist()


def slow(tokens: Sequence[int], sampling: Sampling, write: Callable[[int], bytes]) -> dict[int, float]:
    """Each suffix in turn: where else does it stand, and what came then?"""
    breakers = [breaker.encode() for breaker in sampling.dry_sequence_breakers]
    text, breaks = b"", []
    for token in tokens:
        longer = text + write(token)
        breaks.append(any(longer[:end].endswith(b) for b in breakers for end in range(len(text) + 1, len(longer) + 1)))
        text = longer
    begin = max(0, len(tokens) - sampling.dry_penalty_last_n) if sampling.dry_penalty_last_n >= 0 else 0
    seen, breaks = list(tokens[begin:]), breaks[begin:]
    longest: dict[int, int] = {}
    for count in range(1, len(seen)):
        if breaks[-count]:
            break
        for place in range(len(seen) - count):
            if seen[place : place + count] == seen[-count:]:
                longest[seen[place + count]] = count
    return {
        token: sampling.dry_multiplier * sampling.dry_base ** (count - sampling.dry_allowed_length)
        for token, count in longest.items()
        if count >= sampling.dry_allowed_length and not any(breaker in write(token) for breaker in breakers)
    }


@given(
    st.lists(st.sampled_from([A, B, C, COLON, AB, 257]), min_size=1, max_size=40),
    st.integers(0, 40),
    st.integers(1, 4),
    st.sampled_from([-1, 1, 2, 5, 12, 100]),
    st.sampled_from([(), (":",), ("ab",), ("bab", "c"), ("abc:",)]),
)
@settings(max_examples=400, deadline=None)
def test_penalties_equal_the_slow_reference(
    tokens: list[int], prompt: int, allowed: int, last: int, breakers: tuple[str, ...]
) -> None:
    sampling = Sampling(
        dry_multiplier=0.8,
        dry_base=1.5,
        dry_allowed_length=allowed,
        dry_penalty_last_n=last,
        dry_sequence_breakers=breakers,
    )
    expected = slow(tokens, sampling, TOKENIZER.token_bytes)
    ours = penalties(tokens, sampling, prompt)
    assert {token: value for token, value in enumerate(ours) if value} == pytest.approx(expected)


def test_a_repeated_phrase_costs_what_the_formula_says() -> None:
    """After `a b c a b` the c would repeat two tokens, after `: b` only one."""
    sampling = Sampling(dry_multiplier=2, dry_base=3, dry_allowed_length=1)
    assert penalties([A, B, C, A, B], sampling, 5)[C] == 2 * 3
    assert penalties([A, B, C, COLON, B], sampling, 3)[C] == 2
    assert not any(penalties([A, B, C, A, COLON], sampling, 2))
    assert not any(penalties([A, B, COLON, A, B], sampling, 2)), "a breaker is never penalised"
    assert not any(penalties([A, B, C, A, B], sampling.model_copy(update={"dry_penalty_last_n": 0}), 5))


def test_endless_repeats_stay_finite() -> None:
    sampling = Sampling(dry_multiplier=100, dry_base=100, dry_sequence_breakers=())
    logits = Dry([A] * 3000, TOKENIZER, sampling).penalise(np.zeros(TOKENIZER.vocab_size, np.float32))
    assert np.isfinite(logits).all()
    assert float(logits[A]) < -1e29


@pytest.mark.parametrize("breakers", [("\n", ":", '"', "*"), (",",)], ids=["usual", "comma"])
def test_penalties_equal_those_of_llama_cpp(
    smollm2: Path, tokenizer_of: Callable[[str], Tokenizer], tmp_path: Path, breakers: tuple[str, ...]
) -> None:
    """Its answer's probabilities with and without DRY differ by the penalties alone."""
    tokenizer = tokenizer_of("smollm2")
    text = 'She said: "the cat sat on the mat", and then the cat sat on the hat, and at last the cat sat on the'
    tokens = tokenizer.encode(text)
    sampling = Sampling(dry_multiplier=0.8, dry_base=1.75, dry_allowed_length=2, dry_sequence_breakers=breakers)
    found = {}
    for multiplier in (0.0, 0.8):
        reply = llamacpp.ask(
            smollm2 if smollm2.is_file() else next(smollm2.rglob("*.gguf")),
            tmp_path,
            prompt=tokens,
            n_predict=1,
            n_probs=tokenizer.vocab_size,
            post_sampling_probs=True,
            temperature=1.0,
            samplers=["dry", "temperature"],
            dry_multiplier=multiplier,
            dry_base=1.75,
            dry_allowed_length=2,
            dry_penalty_last_n=256,
            dry_sequence_breakers=list(breakers),
        )
        (step,) = reply["choices"][0]["logprobs"]["content"]
        found[multiplier] = {one["id"]: one.get("prob", 0) for one in step.get("top_probs") or step["top_logprobs"]}
    common = [token for token in found[0.0] if min(found[0.0][token], found[0.8].get(token, 0)) > 1e-7]
    losses = {token: math.log(found[0.0][token] / found[0.8][token]) for token in common}
    ours = penalties(tokens, sampling, len(tokens), tokenizer)
    shift = sorted(losses.values())[len(losses) // 2]  # all others gain alike
    assert any(ours[token] for token in common)
    for token in common:
        assert losses[token] - shift == pytest.approx(ours[token], abs=0.02), token
