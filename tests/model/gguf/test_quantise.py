"""Weights made into blocks, byte for byte against the `gguf` library."""

import gguf.quants
import numpy as np
import pytest

from hanlin.core.errors import WeightsError
from hanlin.model.gguf.dequantise import dequantise
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.quantise import MAKE, quantise

RNG = np.random.default_rng(0)
CASES = {
    "normal": RNG.normal(size=(50, 256)),
    "wide": RNG.normal(size=(50, 256)) * 10.0 ** RNG.integers(-6, 3, (50, 256)),
    "ties": RNG.integers(-16, 17, (50, 256)) / 2,
    "zeros": np.zeros((3, 64)),
    "one": np.eye(64),
    "tiny": RNG.normal(size=(4, 64)) * 1e-9,
    "subnormal": RNG.normal(size=(4, 64)) * 1e-42,
    "signs": np.array([[-1.0, 1.0] * 16, [1.0, -1.0] * 16, [-0.0] * 32]),
}


def library(kind: TensorType, weights: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return gguf.quants.quantize(weights, gguf.GGMLQuantizationType(kind.value)).view(np.uint8)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", MAKE)
def test_blocks_equal_the_librarys(kind, case):
    weights = CASES[case].astype(np.float32)
    np.testing.assert_array_equal(quantise(kind, weights), library(kind, weights))


def test_bfloat_rounding_equals_the_librarys_on_every_pattern_of_bits():
    upper = np.arange(65536, dtype=np.uint32) << 16
    bits = upper[:, None] | np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    weights = bits.view(np.float32)
    np.testing.assert_array_equal(quantise(TensorType.BF16, weights), library(TensorType.BF16, weights))


@pytest.mark.parametrize(("kind", "steps"), [(TensorType.Q8_0, 254), (TensorType.Q4_0, 14)], ids=["Q8_0", "Q4_0"])
def test_what_comes_back_is_within_half_a_step(kind, steps):
    weights = RNG.uniform(-1, 1, (64, 32)).astype(np.float32)
    back = dequantise(kind, quantise(kind, weights))
    span = 2 * np.abs(weights).max(axis=1, keepdims=True)
    inside = np.abs(weights) < 0.85 * span / 2  # the far end of Q4_0 has one step less than the near one
    assert (np.abs(back - weights) <= 0.51 * span / steps + 1e-3)[inside].all()


@pytest.mark.parametrize("kind", [TensorType.F16, TensorType.Q8_0, TensorType.Q4_0])
@pytest.mark.parametrize("bad", [np.inf, np.nan, 3e38])
def test_a_weight_that_does_not_fit_is_refused_with_its_value(kind, bad):
    weights = np.ones((2, 32), np.float32)
    weights[1, 3] = bad
    with pytest.raises(WeightsError, match=f"{np.float32(bad)}.*{kind.name}".replace("+", r"\+")):
        quantise(kind, weights)


def test_rows_that_blocks_cannot_fill_are_refused():
    with pytest.raises(WeightsError, match="Q8_0 blocks of 32 weights cannot fill rows of 33"):
        quantise(TensorType.Q8_0, np.zeros((2, 33), np.float32))


def test_a_type_we_do_not_write_is_refused_by_name():
    with pytest.raises(WeightsError, match="Q4_K is not a type we write"):
        quantise(TensorType.Q4_K, np.zeros((2, 256), np.float32))
