"""Every type of block, to the last bit against the `gguf` library."""

import gguf.quants
import numpy as np
import pytest

from hanlin.core.errors import WeightsError
from hanlin.model.gguf import dequantise as module
from hanlin.model.gguf.dequantise import TURN, dequantise
from hanlin.model.gguf.format import TensorType

SCALES_AT = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
EXTREMES = np.array([0.0, -0.0, 65504, -65504, 6e-8, -6e-8, 6.1e-5, 1, np.inf, -np.inf, np.nan], np.float16)


def expected(kind: TensorType, blocks: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType(kind.value))


def random_blocks(kind: TensorType, rows: int, per_row: int) -> np.ndarray:
    rng = np.random.default_rng(kind.value)
    return rng.integers(0, 256, (rows, per_row * kind.block_bytes), dtype=np.uint8)


def assert_same_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.dtype == wanted.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32))


def test_the_types_of_the_issue_are_all_here():
    wanted = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS".split()
    assert sorted(kind.name for kind in TURN) == sorted(wanted)


@pytest.mark.parametrize("kind", TensorType)
def test_block_sizes_equal_the_librarys(kind):
    assert (kind.block_size, kind.block_bytes) == gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind.value)]
    assert kind.name == gguf.GGMLQuantizationType(kind.value).name


@pytest.mark.parametrize("kind", TURN)
def test_random_blocks_equal_the_library_bit_for_bit(kind):
    blocks = random_blocks(kind, rows=37, per_row=9)
    assert_same_bits(dequantise(kind, blocks), expected(kind, blocks))


@pytest.mark.parametrize("kind", [kind for kind in TURN if kind.block_size > 1])
def test_extreme_scales_equal_the_library_bit_for_bit(kind):
    blocks = random_blocks(kind, rows=len(EXTREMES) ** 2, per_row=1)
    places = SCALES_AT.get(kind.name, (0, 2) if kind.name.endswith("_1") else (0,))
    grid = np.stack(np.meshgrid(EXTREMES, EXTREMES), -1).reshape(-1, 2)
    for place, scales in zip(places, grid.T, strict=False):
        blocks[:, place : place + 2] = np.ascontiguousarray(scales)[:, None].view(np.uint8)
    assert_same_bits(dequantise(kind, blocks), expected(kind, blocks))


@pytest.mark.parametrize("kind", TURN)
def test_pieces_of_any_size_give_the_same(kind, monkeypatch):
    blocks = random_blocks(kind, rows=5, per_row=3)
    whole = dequantise(kind, blocks)
    monkeypatch.setattr(module, "WEIGHTS_AT_ONCE", 2 * kind.block_size)
    assert_same_bits(dequantise(kind, blocks), whole)


def test_every_half_float_and_every_bfloat_widens_as_in_the_library():
    bits = np.arange(65536, dtype="<u2").view(np.uint8).reshape(256, 512)
    for kind in (TensorType.F16, TensorType.BF16):
        assert_same_bits(dequantise(kind, bits), expected(kind, bits))


def test_weights_land_in_the_given_place():
    blocks = random_blocks(TensorType.Q4_1, rows=6, per_row=2)
    fused = np.full((10, 64), 7, np.float32)
    dequantise(TensorType.Q4_1, blocks, fused[2:8])
    assert_same_bits(fused[2:8], expected(TensorType.Q4_1, blocks))
    assert (fused[:2] == 7).all() and (fused[8:] == 7).all()


def test_a_type_we_do_not_carry_is_refused_by_name():
    with pytest.raises(WeightsError, match="IQ1_S"):
        dequantise(TensorType.IQ1_S, np.zeros((1, 50), np.uint8))
