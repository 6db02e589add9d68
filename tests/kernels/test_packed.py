"""Products in bytes: exactly those of the rounded numbers, by every set of instructions, alone or in company."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.core.machine import allowed_cores
from hanlin.kernels import Packed, quantised
from hanlin.kernels.library import PATHS, library

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 130), st.integers(1, 200))


def here() -> list[str]:
    """The sets of instructions that this processor has."""
    found = []
    for name in PATHS:
        try:
            kernels.choose(name)
        except ConfigError:
            continue
        found.append(name)
    kernels.choose("")
    return found


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    try:
        kernels.choose(request.param)
    except ConfigError as error:
        pytest.skip(str(error.what))
    yield request.param
    kernels.choose("")


def drawn(rows: int, columns: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((rows, columns)) * scale).astype(np.float32)


def expected(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """From the definition, in whole numbers and float64: the bytes of both are multiplied exactly."""

    def codes(it: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        most = np.abs(it).max(1, keepdims=True).astype(np.float32)
        inverse = np.divide(np.float32(127), most, out=np.zeros_like(most), where=most > 0)
        return np.rint(it * inverse).astype(np.int64), (most / np.float32(127)).astype(np.float64)

    (a, of_a), (b, of_b) = codes(x), codes(weight)
    return (a @ b.T) * of_a * of_b.T


def outliers(rows: int, columns: int, seed: int, scale: float) -> np.ndarray:
    """Rows as models have them: a few channels are a hundred times the others."""
    x = drawn(rows, columns, seed, scale)
    x[:, np.random.default_rng(seed).integers(0, columns, 1 + columns // 50)] *= 100
    return x


def test_products_are_those_of_the_rounded_numbers(path: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(SIZES, st.integers(0, 99), st.sampled_from([1e-6, 1.0, 1e6]))
    def holds(sizes: tuple[int, int, int], seed: int, scale: float) -> None:
        rows, outputs, inputs = sizes
        x, weight = drawn(rows, inputs, seed, scale), drawn(outputs, inputs, seed + 1)
        want = expected(x, weight)
        np.testing.assert_allclose(Packed.int8(weight)(x), want, rtol=1e-5, atol=1e-6 * np.abs(want).max())
        across = Packed.int8(np.ascontiguousarray(weight.T), is_transposed=True)
        assert np.array_equal(across(x), Packed.int8(weight)(x))

    holds()


def test_weights_that_come_in_pieces_are_packed_as_all_at_once(path: str) -> None:
    weight = drawn(200, 50, 3)
    whole, pieces = Packed.int8(weight), Packed.int8_of(iter((weight[:64], weight[64:176], weight[176:])), 200, 50)
    assert np.array_equal(whole.codes, pieces.codes) and np.array_equal(whole.scales, pieces.scales)
    for wrong in ((weight[:60], weight[60:]), (weight[:64],), (weight, weight[:16]), (weight[:, :49],)):
        with pytest.raises(ValueError, match="outputs"):
            Packed.int8_of(wrong, 200, 50)


def test_rows_of_two_bytes_are_rounded_by_their_mean_and_multiplied_exactly(path: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(SIZES, st.integers(0, 99), st.sampled_from([1e-6, 1.0, 1e6]), st.booleans())
    def holds(sizes: tuple[int, int, int], seed: int, scale: float, has_outliers: bool) -> None:
        rows, outputs, inputs = sizes
        x = (outliers if has_outliers else drawn)(rows, inputs, seed, scale)
        packed = replace(Packed.int8(drawn(outputs, inputs, seed + 1)), row_bits=16)
        codes, scales, _, large = quantised(x, 16)
        size = np.abs(x)
        unit = np.clip(4 * size.mean(1), size.max(1) / 256, size.max(1))
        np.testing.assert_allclose(scales * 127, unit, rtol=1e-5)
        numbers = codes[:, 0, :inputs].astype(np.float64) + 255.0 * codes[:, 1, :inputs]
        assert (np.abs(numbers * scales[:, None] - x) <= 0.501 * scales[:, None]).all()
        has_second = codes[:, 1].reshape(rows, -1, 4).any(2)
        assert [set(row[1 : 1 + row[0]]) for row in large] == [set(np.flatnonzero(row)) for row in has_second]
        want = (numbers * scales[:, None]) @ packed.dense().T.astype(np.float64)
        parts = np.abs(numbers * scales[:, None]) @ np.abs(packed.dense()).T
        assert (np.abs(packed(x) - want) <= 4e-6 * parts).all()

    holds()


def test_outliers_do_not_make_the_rest_of_a_row_coarse() -> None:
    x, packed = drawn(33, 576, 0), Packed.int8(drawn(200, 576, 1))
    x[:, ::50] = drawn(33, 12, 2) * 200
    rest = np.ones(576, bool)
    rest[::50] = False
    dense = packed.dense().astype(np.float64)
    want, size = x.astype(np.float64) @ dense.T, np.linalg.norm(x[:, rest].astype(np.float64) @ dense[:, rest].T)
    errors = [np.linalg.norm(replace(packed, row_bits=bits)(x) - want) / size for bits in (8, 16)]
    assert errors[1] < 0.1 < 0.5 < errors[0], errors


def test_products_are_near_those_of_floats(path: str) -> None:
    x, weight = drawn(33, 576, 0), drawn(200, 576, 1)
    want = x.astype(np.float64) @ weight.T
    assert np.linalg.norm(Packed.int8(weight)(x) - want) < 0.015 * np.linalg.norm(want)


@pytest.mark.parametrize("outputs", [1, 16, 100, 700])
def test_every_set_of_instructions_gives_the_same_bits(outputs: int) -> None:
    x, weight, found = drawn(37, 203, 2), drawn(outputs, 203, 3), []
    for name in here():
        kernels.choose(name)
        packed = Packed.int8(weight)
        finer = replace(packed, row_bits=16)
        found.append((packed.codes, packed.scales, *quantised(x), packed(x), *quantised(x, 16), finer(x)))
    kernels.choose("")
    for other in found[1:]:
        assert all(np.array_equal(one, two) for one, two in zip(found[0], other, strict=True))


@pytest.mark.parametrize("row_bits", [8, 16])
def test_a_row_is_the_same_to_the_bit_in_any_company_and_on_any_number_of_threads(path: str, row_bits: int) -> None:
    x, packed = drawn(400, 300, 4), replace(Packed.int8(drawn(530, 300, 5)), row_bits=row_bits)
    whole = packed(x)
    try:
        for threads in (1, 2, 3):
            library().hanlin_set_threads(threads)
            assert np.array_equal(packed(x), whole)
            for rows in (slice(0, 1), slice(7, 12), slice(100, 293)):
                assert np.array_equal(packed(x[rows]), whole[rows])
    finally:
        library().hanlin_set_threads(allowed_cores().count)


def test_zeros_the_smallest_and_the_largest_numbers() -> None:
    weight = drawn(20, 8, 6)
    weight[3] = 0
    rows = np.array([[0.0] * 8, [1e-40] * 8, [1e38, *[0.0] * 7]], np.float32)
    found = Packed.int8(weight)(rows)
    assert not found[0].any()
    assert not found[1].any()  # a millionth of a millionth of what any weight could make visible
    assert not found[:, 3].any()
    np.testing.assert_allclose(found[2], weight[:, 0] * np.float32(1e38), atol=1e38 * np.abs(weight).max() / 200)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_stays_none_and_in_its_row(path: str, bad: float) -> None:
    x, weight = drawn(5, 70, 7), drawn(40, 70, 8)
    clean = Packed.int8(weight)(x)
    x[2, 69] = bad
    found = Packed.int8(weight)(x)
    assert np.isnan(found[2]).all()
    kept = [0, 1, 3, 4]
    assert np.array_equal(found[kept], clean[kept])
    x[2, 69], weight[11, 0] = 0, bad
    found = Packed.int8(weight)(x)
    assert np.isnan(found[:, 11]).all()
    assert np.isfinite(np.delete(found, 11, 1)).all()
    across = Packed.int8(np.ascontiguousarray(weight.T), is_transposed=True)
    assert np.array_equal(across(x), found, equal_nan=True)


def test_arrays_and_tensors_with_gaps_between_rows_are_read_where_they_lie() -> None:
    x, weight = drawn(9, 50, 9), drawn(30, 40, 10)
    want = Packed.int8(weight)(np.ascontiguousarray(x[:, :40]))
    assert np.array_equal(Packed.int8(weight)(x[:, :40]), want)
    found = Packed.int8(torch.from_numpy(weight))(torch.from_numpy(x)[:, :40])
    assert isinstance(found, torch.Tensor)
    assert np.array_equal(found.numpy(), want)
    out = np.zeros((9, 64), np.float32)
    Packed.int8(weight)(x[:, :40], out[:, :30])
    assert np.array_equal(out[:, :30], want)
    assert not out[:, 30:].any()


def test_a_packed_matrix_tells_its_weights_and_takes_about_a_byte_each() -> None:
    weight = drawn(640, 576, 11)
    packed = Packed.int8(weight)
    assert np.abs(packed.dense() - weight).max() <= np.abs(weight).max() / 254 * 1.001
    assert packed.bytes < 1.02 * weight.size


def test_wrong_sizes_are_not_computed_with() -> None:
    packed = Packed.int8(drawn(8, 12, 12))
    with pytest.raises(ValueError, match="inputs"):
        packed(drawn(2, 20, 0))
    with pytest.raises(ValueError, match="outputs"):
        packed(drawn(2, 12, 0), np.empty((2, 9), np.float32))
    with pytest.raises(ValueError, match="float64"):
        packed(np.zeros((2, 12)))
    with pytest.raises(ValueError, match="columns lie 2 apart"):
        packed(drawn(2, 24, 0)[:, ::2])
    with pytest.raises(ValueError, match="not \\(8,\\)"):
        packed(drawn(2, 12, 0), bias=np.zeros(9, np.float32))
    with pytest.raises(ValueError, match="131073 inputs"):
        Packed.int8(np.zeros((1, 131073), np.float32))


def test_a_forked_child_computes_with_threads_of_its_own() -> None:
    script = """
import os, numpy as np
from hanlin.kernels import Packed
from hanlin.kernels.library import library
library().hanlin_set_threads(2)
x = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
packed = Packed.int8(np.tile(x, (20, 1)))
want = packed(x)
child = os.fork()
if not child:
    os._exit(not np.array_equal(packed(x), want))
assert os.waitpid(child, 0)[1] == 0
assert np.array_equal(packed(x), want)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)


@pytest.mark.parametrize(("wish", "said"), [("off", "HANLIN_KERNELS is off"), ("portable", "portable")])
def test_the_environment_chooses(wish: str, said: str) -> None:
    script = "from hanlin import kernels; print(kernels.missing() or kernels.path())"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "HANLIN_KERNELS": wish}, capture_output=True, text=True
    )
    assert done.stdout.strip() == said, done.stderr


def test_instructions_that_are_not_there_are_refused() -> None:
    with pytest.raises(ConfigError, match="sse9 is no set of instructions"):
        kernels.choose("sse9")
    assert kernels.path() in PATHS
