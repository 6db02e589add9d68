"""Codes of every type go into the kernels' matrices as they are: against the dequantiser, which has its own tests."""

import numpy as np
import pytest

from hanlin import kernels
from hanlin.core.errors import WeightsError
from hanlin.model.gguf.dequantise import TURN, dequantise
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.packed import FORMS, Part, fit_together, packed

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
HALVES = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
EXACT = [kind for kind in FORMS if kind.block_size == 32]
each_kind = pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.name)


def blocks(kind: TensorType, rows: int, width: int) -> np.ndarray:
    """Random blocks whose scales are what those of real weights are."""
    random = np.random.default_rng(kind.value)
    found = random.integers(0, 256, (rows, width // kind.block_size, kind.block_bytes), dtype=np.uint8)
    for place in HALVES.get(kind.name, (0, 2) if kind.name.endswith("_1") else (0,)):
        scales = random.uniform(1e-3, 2e-2, found.shape[:2]) * random.choice([-1, 1], found.shape[:2])
        found[:, :, place : place + 2] = scales.astype("<f2")[..., None].view(np.uint8)
    return found.reshape(rows, -1)


def test_every_type_with_codes_has_a_form() -> None:
    assert set(FORMS) == {kind for kind in TURN if kind.block_size > 1}


@pytest.mark.parametrize("kind", EXACT, ids=lambda kind: kind.name)
def test_weights_of_blocks_of_32_are_kept_exactly(kind: TensorType) -> None:
    stored = blocks(kind, 37, 160)
    found, exact = packed([Part(kind, stored, None)]).dense(), dequantise(kind, stored)
    np.testing.assert_array_equal(found, exact)


@each_kind
def test_others_differ_by_a_2048th_of_a_scale(kind: TensorType) -> None:
    stored = blocks(kind, 37, 768)
    found, exact = packed([Part(kind, stored, None)]).dense(), dequantise(kind, stored)
    form = FORMS[kind]
    scales, minimums = form.scales(np.ascontiguousarray(stored).reshape(-1, kind.block_bytes))
    codes = np.empty((stored.size // kind.block_bytes, kind.block_size), np.int8)
    form.codes(stored.reshape(-1, kind.block_bytes), codes)
    size = np.abs(codes.reshape(*scales.shape, -1) * scales[..., None])
    size = size + (0 if minimums is None else np.abs(minimums)[..., None])
    assert (np.abs(found - exact) <= size.reshape(exact.shape) / 2000 + 1e-7).all()


@each_kind
def test_products_are_those_of_the_stored_weights(kind: TensorType) -> None:
    stored, x = blocks(kind, 50, 512), np.random.default_rng(0).standard_normal((3, 512)).astype(np.float32)
    matrix = packed([Part(kind, stored, None)])
    rows = kernels.quantised(x)
    x = rows.codes[:, 0].astype(np.float32) * rows.scales[:, None]  # rows that are whole numbers already
    exact = dequantise(kind, stored)
    size = np.abs(x) @ np.abs(exact).T
    assert (np.abs(matrix(x) - x @ exact.T) <= 1e-3 * size).all()


def test_rows_come_in_the_order_asked_for_and_parts_below_each_other() -> None:
    first, second = blocks(TensorType.Q8_0, 32, 64), blocks(TensorType.Q5_0, 20, 64)
    order = np.random.default_rng(0).permutation(32)
    parts = [Part(TensorType.Q8_0, first, order), Part(TensorType.Q5_0, second, None)]
    assert fit_together(parts[:1], parts[1])
    exact = np.concatenate([dequantise(TensorType.Q8_0, first)[order], dequantise(TensorType.Q5_0, second)])
    np.testing.assert_allclose(packed(parts).dense(), exact, rtol=1e-6)


def test_parts_of_another_form_or_after_an_odd_number_of_rows_do_not_fit() -> None:
    eight, odd, four = (
        Part(kind, blocks(kind, rows, 64), None)
        for kind, rows in ((TensorType.Q8_0, 32), (TensorType.Q8_0, 30), (TensorType.Q4_0, 32))
    )
    assert not fit_together([eight], four)
    assert not fit_together([odd], eight)
    assert fit_together([eight], odd)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_scale_that_is_no_number_is_an_error(bad: float) -> None:
    stored = blocks(TensorType.Q4_1, 5, 64)
    stored[3, 2:4] = np.array([bad], "<f2").view(np.uint8)
    with pytest.raises(WeightsError, match="not numbers"):
        packed([Part(TensorType.Q4_1, stored, None)])
