"""Settings of generation: ranges are checked, defaults are deterministic."""

import pytest

from hanlin.core.errors import ConfigError
from hanlin.core.settings import parse
from hanlin.infer.sampling import Sampling

OUT_OF_RANGE = {
    "temperature": [-0.1, float("nan"), float("inf"), "hot"],
    "top_k": [-1, 1.5],
    "top_p": [0, 1.01, float("nan")],
    "min_p": [-0.1, 1.1],
    "typical_p": [0, 2],
    "repetition_penalty": [0, -1, 101, float("inf")],
    "frequency_penalty": [-2.1, 2.1],
    "presence_penalty": [-2.1, 2.1],
    "max_tokens": [0, -5],
    "logprobs": [-1, 101],
    "n": [0, 129],
    "seed": [-1, 1 << 63],
    "stop": [["", "a"], ""],
    "overflow": ["cut"],
    "min_tokens": [-1, 257],
    "logit_bias": [{1: 101}, {1: float("nan")}, {-1: 0}, {"a": 1}],
    "allowed_tokens": [[-1], [1.5]],
    "banned_tokens": [[-1]],
    "shown_tokens": [[-1]],
    "dry_multiplier": [-0.1, 101, float("inf")],
    "dry_base": [0.9, float("nan")],
    "dry_allowed_length": [0],
    "dry_penalty_last_n": [-2],
    "dry_sequence_breakers": [[""]],
    "xtc_probability": [-0.1, 1.1],
    "xtc_threshold": [0, 0.6],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, bad in OUT_OF_RANGE.items() for value in bad])
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        parse(Sampling, {name: value})
    assert caught.value.fix


def test_the_default_is_greedy_and_a_lone_stop_text_is_one_stop() -> None:
    assert Sampling().is_greedy
    assert parse(Sampling, {"stop": "END"}).stop == ("END",)


def test_answers_draw_from_consecutive_seeds_and_fresh_ones_differ() -> None:
    assert Sampling(seed=7, n=3).seeds() == [7, 8, 9]
    assert Sampling(seed=(1 << 63) - 1, n=2).seeds() == [(1 << 63) - 1, 0]
    assert Sampling().seeds() != Sampling().seeds()
