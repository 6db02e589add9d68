"""Which tokens may come: bias, allowed, banned, and no end before its time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.core.errors import ConfigError, RefusedError
from hanlin.infer.bounds import NEVER, Bounds
from hanlin.infer.constraint import regex
from hanlin.infer.event import Event
from hanlin.infer.generate import generate
from hanlin.infer.sampling import Sampling
from hanlin.model.decoder import Decoder
from hanlin.text.tokenizer import Tokenizer

PROMPT = [104, 101]
IDS = st.lists(st.integers(0, 9), max_size=6)


def told(network: Decoder, tokenizer: Tokenizer, **sampling: object) -> list[Event]:
    return list(generate(network, tokenizer, PROMPT, Sampling.model_validate({"max_tokens": 40, **sampling})))


@given(IDS, IDS, st.dictionaries(st.integers(0, 9), st.floats(-100, 100)), st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_every_logit_is_what_its_token_alone_says(
    allowed: list[int], banned: list[int], biases: dict[int, float], count: int
) -> None:
    sampling = Sampling(
        allowed_tokens=tuple(allowed), banned_tokens=tuple(banned), logit_bias=biases, min_tokens=2, max_tokens=5
    )
    before = np.linspace(-3, 3, 10, dtype=np.float32)
    try:
        bounds = Bounds(sampling, 10, [7, 70])
    except ConfigError:
        assert not (set(allowed) or set(range(10))) - set(banned)
        return
    after = before.copy()
    bounds.apply(after, count)
    may = {token for token in range(10) if (not allowed or token in allowed) and token not in banned}
    may = may - {7} if count < 2 and may != {7} else may
    for token in range(10):
        expected = float(before[token]) + biases.get(token, 0) if token in may else NEVER
        assert float(after[token]) == pytest.approx(expected, abs=1e-4)


def test_only_allowed_tokens_come_and_never_banned_ones(network: Decoder, bytewise: Tokenizer) -> None:
    wild = {"temperature": 5.0, "seed": 1, "n": 3}
    assert {event.token for event in told(network, bytewise, allowed_tokens=(97, 98, 99), **wild)} == {97, 98, 99}
    few = tuple(token for token in range(bytewise.vocab_size) if token not in (97, 265))
    assert {event.token for event in told(network, bytewise, banned_tokens=few, **wild)} == {97, 265}


def test_a_special_token_shows_its_text_only_if_it_is_to_be_shown(network: Decoder, bytewise: Tokenizer) -> None:
    turn = bytewise.encode("<turn>", add_special=False)
    for shown, text in (((), ""), (turn, "<turn>" * 3), (bytewise.eos, "")):
        events = told(network, bytewise, allowed_tokens=tuple(turn), shown_tokens=tuple(shown), max_tokens=3)
        assert "".join(event.text for event in events) == text


def test_a_bias_of_100_decides_and_log_probabilities_stay_the_models_own(network: Decoder, bytewise: Tokenizer) -> None:
    plain, biased = (told(network, bytewise, max_tokens=1, logprobs=3, logit_bias=bias)[0] for bias in ({}, {97: 100}))
    assert biased.token == 97
    assert biased.top == plain.top


def test_no_end_comes_before_min_tokens(network: Decoder, bytewise: Tokenizer) -> None:
    eager = {"logit_bias": {bytewise.eos[0]: 100}}
    assert len(told(network, bytewise, **eager)) == 1
    events = told(network, bytewise, min_tokens=7, **eager)
    assert (len(events), events[-1].finish) == (8, "stop")


def test_a_constraint_ends_an_answer_before_min_tokens(network: Decoder, bytewise: Tokenizer) -> None:
    events = list(generate(network, bytewise, PROMPT, Sampling(min_tokens=9, max_tokens=20), regex("ab?")))
    assert "".join(event.text for event in events) in ("a", "ab")
    assert events[-1].finish == "stop"


@pytest.mark.parametrize(
    "settings",
    [{"allowed_tokens": (267,)}, {"banned_tokens": (999,)}, {"shown_tokens": (267,)}, {"logit_bias": {300: 1}}],
    ids=["allowed", "banned", "shown", "bias"],
)
def test_an_id_outside_the_vocabulary_is_refused_by_name(
    network: Decoder, bytewise: Tokenizer, settings: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        generate(network, bytewise, PROMPT, Sampling.model_validate(settings))


def test_where_no_token_may_come_the_answer_ends_in_an_error_and_not_in_a_wrong_token(
    network: Decoder, bytewise: Tokenizer
) -> None:
    with pytest.raises(RefusedError, match="no token may come"):
        list(generate(network, bytewise, PROMPT, Sampling(allowed_tokens=(98,), max_tokens=9), regex("a")))
    with pytest.raises(ConfigError, match="banned_tokens"):
        generate(network, bytewise, PROMPT, Sampling(allowed_tokens=(98,), banned_tokens=(98,)))
