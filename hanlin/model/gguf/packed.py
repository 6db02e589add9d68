"""Quantised tensors of a GGUF file in, matrices for the native kernels out: their codes as they are, never floats.

    type      kept as                        bits a weight, here and in the file    greatest error of a weight
    Q4_0      4 bits, groups of 32                      4.5     4.5                 none
    Q4_1      4 bits with a minimum, 32                 5       5                   none
    Q5_0      8 bits, 32                                8.5     5.5                 none
    Q5_1      8 bits with a minimum, 32                 9       6                   none
    Q8_0      8 bits, 32                                8.5     8.5                 none
    IQ4_NL    8 bits, 32: the curve's values            8.5     4.5                 none
    Q2_K      4 bits with a minimum, 16                 6       2.6                 1
    Q3_K      4 bits, 16                                5       3.4                 1
    Q4_K      4 bits with a minimum, 32                 5       4.5                 1
    Q5_K      8 bits with a minimum, 32                 9       5.5                 1
    Q6_K      8 bits, 16                                9       6.6                 1
    IQ4_XS    8 bits, 32: the curve's values            8.5     4.25                1

A group's scale and minimum are float16 here, times a power of two for each output. The file's are so too where a block
is one group. Where a block has several (the types of 256), a scale is the product of a float16 and six bits or so, and
is rounded: by no more than a 2048th of itself, which is what the 1 stands for; and a minimum likewise. A scale 16,000
times smaller than the largest of its output loses more, see `hanlin.kernels.rounding`.

F32, F16 and BF16 are no codes; they are rounded like the weights of any other file, see `hanlin.model.native`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Shaped, UInt8

from hanlin.core.errors import WeightsError
from hanlin.kernels import Packed
from hanlin.kernels.packed import LANES, Coded
from hanlin.model.gguf import blocks32, blocks256
from hanlin.model.gguf.format import TensorType

AT_ONCE = 1 << 18
"""Weights turned at a time: a quarter of a megabyte, which stays in the processor's cache."""
Bytes = UInt8[np.ndarray, "N bytes"]
Fill = Callable[[Bytes, Shaped[np.ndarray, "N size"]], None]
Scales = Callable[[Bytes], tuple[Float32[np.ndarray, "N groups"], Float32[np.ndarray, "N groups"] | None]]


class Form(NamedTuple):
    """How the matrices of a type are kept."""

    bits: int
    group: int
    has_minimums: bool
    codes: Fill
    scales: Scales
    """Scales and minimums of a block's groups."""


class Part(NamedTuple):
    """Some of a matrix's outputs, as they are stored."""

    type: TensorType
    blocks: UInt8[np.ndarray, "stored_rows bytes"]
    order: Int[np.ndarray, "_"] | None
    """Output i is row `order[i]`; None: they are in order, all of them."""
    release: Callable[[slice], None] | None = None
    """Told which rows have been looked at, where they are in order."""

    @property
    def outputs(self) -> int:
        """How many."""
        return len(self.blocks) if self.order is None else len(self.order)


def _one(blocks: Bytes) -> tuple[np.ndarray, None]:
    return blocks32.half(blocks, 0), None


def _both(blocks: Bytes) -> tuple[np.ndarray, np.ndarray]:
    return blocks32.half(blocks, 0), blocks32.half(blocks, 2)


def _down(scales: Callable[[Bytes], tuple[np.ndarray, np.ndarray]]) -> Scales:
    """Scales with what is taken away, as a minimum."""

    def both(blocks: Bytes) -> tuple[np.ndarray, np.ndarray]:
        up, down = scales(blocks)
        return up, -down

    return both


def _alone(scales: Callable[[Bytes], np.ndarray]) -> Scales:
    return lambda blocks: (scales(blocks), None)


FORMS = {
    TensorType.Q4_0: Form(4, 32, False, blocks32.q4_0_codes, _one),
    TensorType.Q4_1: Form(4, 32, True, blocks32.q4_1_codes, _both),
    TensorType.Q5_0: Form(8, 32, False, blocks32.q5_0_codes, _one),
    TensorType.Q5_1: Form(8, 32, True, blocks32.q5_1_codes, _both),
    TensorType.Q8_0: Form(8, 32, False, blocks32.q8_0_codes, _one),
    TensorType.IQ4_NL: Form(8, 32, False, blocks32.iq4_nl_codes, _one),
    TensorType.Q2_K: Form(4, 16, True, blocks256.q2_k_codes, _down(blocks256.q2_k_scales)),
    TensorType.Q3_K: Form(4, 16, False, blocks256.q3_k_codes, _alone(blocks256.q3_k_scales)),
    TensorType.Q4_K: Form(4, 32, True, blocks256.q4_k_codes, _down(blocks256.k_scales)),
    TensorType.Q5_K: Form(8, 32, True, blocks256.q5_k_codes, _down(blocks256.k_scales)),
    TensorType.Q6_K: Form(8, 16, False, blocks256.q6_k_codes, _alone(blocks256.q6_k_scales)),
    TensorType.IQ4_XS: Form(8, 32, False, blocks256.iq4_xs_codes, _alone(blocks256.iq4_xs_scales)),
}
"""Of each type that has codes."""


def fit_together(first: Sequence[Part], second: Part) -> bool:
    """One matrix can hold both: they are kept in the same form, and the second begins where a block of outputs does."""
    ours, theirs = FORMS.get(first[-1].type), FORMS.get(second.type)
    return ours is not None and theirs is not None and ours[:3] == theirs[:3] and first[-1].outputs % LANES == 0


def packed(parts: Sequence[Part]) -> Packed:
    """A matrix out of parts that fit together, one under the other.

    Raises:
        WeightsError: something in it is infinite or no number.
    """
    form = FORMS[parts[0].type]
    inputs = parts[0].blocks.shape[1] // parts[0].type.block_bytes * parts[0].type.block_size
    return Packed.of_pieces(
        (coded for part in parts for coded in _coded(part, inputs)),
        sum(part.outputs for part in parts),
        inputs,
        bits=form.bits,
        group=form.group,
        has_minimums=form.has_minimums,
    )


def check(part: Part) -> None:
    """Look whether all of its weights are numbers.

    Raises:
        WeightsError: something in it is infinite or no number.
    """
    for blocks in _some(part):
        _scales(part.type, blocks)


def _some(part: Part) -> Iterator[Bytes]:
    """Blocks of a multiple of 16 outputs at a time."""
    kind = part.type
    per_row = part.blocks.shape[1] // kind.block_bytes
    step = max(LANES, AT_ONCE // (per_row * kind.block_size) // LANES * LANES)
    for begin in range(0, part.outputs, step):
        some = slice(begin, begin + step)
        rows = part.blocks[some if part.order is None else part.order[some]]
        yield np.ascontiguousarray(rows).reshape(-1, kind.block_bytes)
        if part.release is not None and part.order is None:
            part.release(some)


def _scales(kind: TensorType, blocks: Bytes) -> tuple[np.ndarray, np.ndarray | None]:
    with np.errstate(all="ignore"):
        found = FORMS[kind].scales(blocks)
    if not all(np.isfinite(one).all() for one in found if one is not None):
        raise WeightsError("holds infinite weights, or weights that are not numbers", "fetch the model again")
    return found


def _coded(part: Part, inputs: int) -> Iterator[Coded]:
    form = FORMS[part.type]
    zero = 8 if form.bits == 4 and not form.has_minimums else 0  # what four bits stand higher by
    for blocks in _some(part):
        codes = np.empty((len(blocks), part.type.block_size), np.int8)
        form.codes(blocks, codes)
        codes = codes.reshape(-1, inputs)
        scales, minimums = (None if one is None else one.reshape(len(codes), -1) for one in _scales(part.type, blocks))
        assert scales is not None
        yield Coded(codes if form.bits == 8 else (codes + np.int8(zero)).view(np.uint8), scales, minimums)
