"""Matrices in groups, of eight and of four bits: exactly what their codes say, by every set of instructions."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.core.machine import allowed_cores
from hanlin.kernels import Packed, quantised
from hanlin.kernels.library import PATHS, library

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
SIZES = st.tuples(st.integers(1, 20), st.integers(1, 70), st.integers(1, 200))
FORMS = st.tuples(st.sampled_from([8, 4]), st.booleans(), st.sampled_from([16, 32, 64, 128]))


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    try:
        kernels.choose(request.param)
    except ConfigError as error:
        pytest.skip(str(error.what))
    yield request.param
    kernels.choose("")


def halves(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Scales as files have them: float16, of a few orders of magnitude."""
    return (random.uniform(0.2, 1, shape) * 10.0 ** random.integers(-3, 0, shape)).astype(np.float16).astype(np.float32)


def of_file(
    sizes: tuple[int, int], bits: int, has_minimum: bool, group: int, seed: int
) -> tuple[Packed, np.ndarray, np.ndarray]:
    """A matrix as files have them, packed and in float64, and its codes around zero."""
    random, (outputs, inputs) = np.random.default_rng(seed), sizes
    codes = random.integers(-128, 128, sizes, np.int8) if bits == 8 else random.integers(0, 16, sizes, np.uint8)
    scales = halves(random, outputs, -(-inputs // group))
    minimums = -halves(random, *scales.shape) if has_minimum else None
    zero = 0 if bits == 8 or has_minimum else 8
    spread = np.repeat(scales, group, 1)[:, :inputs].astype(np.float64)
    dense = (codes.astype(np.float64) - zero) * spread
    if minimums is not None:
        dense += np.repeat(minimums, group, 1)[:, :inputs]
    return Packed.of_codes(codes, scales, minimums, bits=bits, group=group), dense, codes


def rows_of(x: np.ndarray, bits: int) -> np.ndarray:
    """What rows are rounded to, in float64."""
    rows = quantised(x, bits)
    codes = rows.codes[:, :, : x.shape[1]].astype(np.float64)
    return (codes[:, 0] if bits == 8 else codes[:, 0] + 255 * codes[:, 1]) * rows.scales[:, None]


def test_products_are_those_of_the_codes(path: str) -> None:
    @settings(max_examples=80, deadline=None)
    @given(SIZES, FORMS, st.sampled_from([8, 16]), st.integers(0, 99))
    def holds(sizes: tuple[int, int, int], form: tuple[int, bool, int], row_bits: int, seed: int) -> None:
        bits, has_minimum, group = form
        count, outputs, inputs = sizes
        packed, dense, _ = of_file((outputs, inputs), bits, has_minimum, group, seed)
        packed = replace(packed, row_bits=row_bits)
        np.testing.assert_array_equal(packed.dense(), dense.astype(np.float32))
        random = np.random.default_rng(seed + 1)
        x, bias = (random.standard_normal(shape).astype(np.float32) for shape in ((count, inputs), (outputs,)))
        want = rows_of(x, row_bits) @ dense.T + bias
        size = np.abs(rows_of(x, row_bits)) @ np.abs(dense).T + 1
        assert (np.abs(packed(x, bias=bias) - want) <= 4e-6 * size).all()

    holds()


def test_the_largest_codes_overflow_nothing(path: str) -> None:
    inputs = 2048
    x = np.where(np.arange(inputs) % 3 > 0, np.float32(127), np.float32(-127))[None].repeat(2, 0)
    x[1] = 127
    for low, high, bits in ((-128, 127, 8), (0, 15, 4)):
        codes = np.where(x[0] > 0, high, low).astype(np.int8 if bits == 8 else np.uint8)[None].repeat(17, 0)
        codes[1:] = high
        codes[2:] = low
        zero = 0 if bits == 8 else 8
        want = x.astype(np.float64) @ (codes.astype(np.float64) - zero).T
        for group in (None, 32) if bits == 8 else (32, 2048):
            scales = np.ones((17, -(-inputs // group)) if group else 17, np.float32)
            packed = Packed.of_codes(codes, scales, bits=bits, group=group)
            np.testing.assert_array_equal(packed(x), want.astype(np.float32))
            np.testing.assert_allclose(replace(packed, row_bits=16)(x), want, rtol=1e-6)


FORMS_OF_FILES = [(8, False), (8, True), (4, False), (4, True)]


@pytest.mark.parametrize("row_bits", [8, 16])
@pytest.mark.parametrize(("bits", "has_minimum"), FORMS_OF_FILES)
def test_every_set_of_instructions_gives_the_same_bits(bits: int, has_minimum: bool, row_bits: int) -> None:
    x, found = np.random.default_rng(5).standard_normal((37, 203)).astype(np.float32), []
    packed = replace(of_file((100, 203), bits, has_minimum, 32, 6)[0], row_bits=row_bits)
    for name in PATHS:
        try:
            kernels.choose(name)
        except ConfigError:
            continue
        found.append(packed(x))
    kernels.choose("")
    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("row_bits", [8, 16])
@pytest.mark.parametrize(("bits", "has_minimum"), FORMS_OF_FILES)
def test_a_row_is_the_same_to_the_bit_in_any_company(path: str, bits: int, has_minimum: bool, row_bits: int) -> None:
    x = np.random.default_rng(7).standard_normal((230, 160)).astype(np.float32)
    packed = replace(of_file((530, 160), bits, has_minimum, 64, 8)[0], row_bits=row_bits)
    whole = packed(x)
    try:
        for threads in (1, 2, 3):
            library().hanlin_set_threads(threads)
            assert np.array_equal(packed(x), whole)
            for rows in (slice(0, 1), slice(7, 12), slice(50, 211)):
                assert np.array_equal(packed(x[rows]), whole[rows])
    finally:
        library().hanlin_set_threads(allowed_cores().count)


@pytest.mark.parametrize(
    ("form", "most"), [({"bits": 8}, 0.0062), ({"bits": 4}, 0.11), ({"bits": 4, "has_minimum": True}, 0.09)]
)
def test_rounded_weights_are_near_the_floats(form: dict, most: float) -> None:
    """Of weights with outliers, which groups are for: eight bits lose half a percent, four about eight."""
    random = np.random.default_rng(9)
    weight = random.standard_normal((64, 576)).astype(np.float32) * random.uniform(0.5, 2, (64, 1)).astype(np.float32)
    weight[5, 7] = 40
    form = dict(form)
    packed = Packed.int8(weight, 32) if form.pop("bits") == 8 else Packed.int4(weight, 32, **form)
    near = np.linalg.norm(packed.dense() - weight, axis=1) / np.linalg.norm(weight, axis=1)
    assert np.delete(near, 5).max() < most
    if packed.bits == 8:
        across = Packed.int8(np.ascontiguousarray(weight.T), 32, is_transposed=True)
        assert np.array_equal(across.dense(), packed.dense())


def test_four_bits_take_five_and_a_half_with_their_scale_and_minimum() -> None:
    weight = np.random.default_rng(0).standard_normal((640, 576)).astype(np.float32)
    assert Packed.int4(weight).bytes * 8 / weight.size < 4.6
    assert Packed.int4(weight, has_minimum=True).bytes * 8 / weight.size < 5.1
    assert Packed.int8(weight, 32).bytes * 8 / weight.size < 8.6


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_output_that_is_no_number_stays_none(path: str, bad: float) -> None:
    random = np.random.default_rng(3)
    weight, x = random.standard_normal((20, 96)).astype(np.float32), random.standard_normal((3, 96)).astype(np.float32)
    weight[4, 50] = bad
    for packed in (Packed.int8(weight, 32), Packed.int4(weight), Packed.int4(weight, has_minimum=True)):
        found = packed(x)
        assert np.isnan(found[:, 4]).all()
        assert np.isfinite(np.delete(found, 4, 1)).all()
    x[1, 0] = bad
    whole = Packed.int4(random.standard_normal((20, 96)).astype(np.float32))
    for packed in (whole, replace(whole, row_bits=16)):
        found = packed(x)
        assert np.isnan(found[1]).all()
        assert np.isfinite(found[[0, 2]]).all()


def test_zeros_and_the_smallest_weights_are_zeros_or_near() -> None:
    weight = np.zeros((3, 64), np.float32)
    weight[1] = 1e-30
    weight[2, :32], weight[2, 32:] = 1e4, 1e-8
    x = np.ones((1, 64), np.float32)
    for packed in (Packed.int8(weight, 32), Packed.int4(weight), Packed.int4(weight, has_minimum=True)):
        np.testing.assert_allclose(packed(x)[0], [0, 64e-30, 32e4], rtol=2e-3)


def test_codes_that_do_not_fit_are_refused() -> None:
    codes = np.zeros((4, 64), np.uint8)
    good = np.ones((4, 2), np.float32)
    for changed in (
        {"scales": good[:, :1]},
        {"codes": codes.astype(np.int8)},
        {"codes": codes + 16},
        {"group": 24},
        {"group": None},
        {"minimums": good[:3]},
        {"bits": 5},
    ):
        given = {"codes": codes, "scales": good, "bits": 4, "group": 32, **changed}
        with pytest.raises(ValueError, match="groups of"):
            Packed.of_codes(given.pop("codes"), given.pop("scales"), given.pop("minimums", None), **given)
