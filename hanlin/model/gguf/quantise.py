"""float32 in, the bytes of F32, F16, BF16, Q8_0, Q4_0 or Q4_1 out, the same as llama.cpp's own tools write.

The layouts are drawn in `blocks32.py`. Reference: `quantize_row_*_ref` in ggml's `ggml-quants.c`.
"""

import numpy as np
from jaxtyping import Float32, UInt8

from hanlin.core.errors import WeightsError
from hanlin.model.gguf.format import TensorType

Weights = Float32[np.ndarray, "N size"]
Bytes = UInt8[np.ndarray, "N bytes"]


def quantise(kind: TensorType, weights: Float32[np.ndarray, "rows width"]) -> UInt8[np.ndarray, "rows bytes"]:
    """Rows of weights as rows of blocks. Memory: a few times the weights, so hand over large tensors by rows.

    Raises:
        WeightsError: we do not write the type, its blocks do not fill a row, or a weight is too large for it.
    """
    if kind not in MAKE:
        raise WeightsError(f"{kind.name} is not a type we write", f"one of: {', '.join(kind.name for kind in MAKE)}")
    rows, width = weights.shape
    if width % kind.block_size:
        raise WeightsError(
            f"{kind.name} blocks of {kind.block_size} weights cannot fill rows of {width}", "write this tensor as F16"
        )
    blocks = np.ascontiguousarray(weights).reshape(-1, kind.block_size)
    with np.errstate(all="ignore"):
        return MAKE[kind](blocks).reshape(rows, width // kind.block_size * kind.block_bytes)


def _f32(weights: Weights) -> Bytes:
    return weights.view(np.uint8)


def _f16(weights: Weights) -> Bytes:
    return _halves(weights, weights, "F16")


def _halves(values: Float32[np.ndarray, "N some"], weights: Weights, kind: str) -> UInt8[np.ndarray, "N twice"]:
    """Values as float16 bytes; `weights` are what they stand for, one row each."""
    halves = values.astype("<f2")
    if not np.isfinite(halves).all():
        worst = weights[~np.isfinite(halves).all(axis=1)][0]
        worst = worst[np.argmax(np.abs(worst))]
        raise WeightsError(f"the weight {worst} cannot be written as {kind}", "mend the weights, or write F32")
    return halves.view(np.uint8)


def _bf16(weights: Weights) -> Bytes:
    """The upper half of each float32, rounded to even; what is not a number stays so."""
    bits = weights.view(np.uint32)
    rounded = bits + (np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1)))
    is_nan = bits & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000)
    upper = np.where(is_nan, bits | np.uint32(64 << 16), rounded) >> np.uint32(16)
    return upper.astype("<u2").view(np.uint8)


def _q8_0(weights: Weights) -> Bytes:
    """The largest magnitude becomes ±127; halves round away from zero."""
    scale = np.abs(weights).max(axis=1, keepdims=True) / np.float32(127)
    scaled = weights * _inverse(scale)
    size = np.abs(scaled)
    whole = np.floor(size)
    whole += np.floor(2 * (size - whole))
    return np.hstack([_halves(scale, weights, "Q8_0"), np.copysign(whole, scaled).astype(np.int8).view(np.uint8)])


def _q4_0(weights: Weights) -> Bytes:
    """The value of largest magnitude becomes nibble 0, that is −8; the nibble 15 stands for at most +7."""
    extreme = np.take_along_axis(weights, np.abs(weights).argmax(axis=1, keepdims=True), axis=1)
    scale = extreme / np.float32(-8)
    nibbles = (weights * _inverse(scale) + np.float32(8.5)).astype(np.uint8).clip(0, 15)
    return np.hstack([_halves(scale, weights, "Q4_0"), nibbles[:, :16] | nibbles[:, 16:] << np.uint8(4)])


def _q4_1(weights: Weights) -> Bytes:
    """The least weight becomes nibble 0, the greatest nibble 15."""
    least = weights.min(axis=1, keepdims=True)
    scale = (weights.max(axis=1, keepdims=True) - least) / np.float32(15)
    nibbles = ((weights - least) * _inverse(scale) + np.float32(0.5)).astype(np.uint8).clip(0, 15)
    ends = [_halves(of, weights, "Q4_1") for of in (scale, least)]
    return np.hstack([*ends, nibbles[:, :16] | nibbles[:, 16:] << np.uint8(4)])


def _inverse(scale: Float32[np.ndarray, "N 1"]) -> Float32[np.ndarray, "N 1"]:
    return np.where(scale == 0, np.float32(0), 1 / scale)


MAKE = {
    TensorType.F32: _f32,
    TensorType.F16: _f16,
    TensorType.BF16: _bf16,
    TensorType.Q8_0: _q8_0,
    TensorType.Q4_0: _q4_0,
    TensorType.Q4_1: _q4_1,
}
"""For each type we write, a function of weights (N, block_size) that gives bytes (N, block_bytes)."""
