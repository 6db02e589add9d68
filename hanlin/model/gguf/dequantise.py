"""Blocks of quantised weights in, float32 out, to the last bit what llama.cpp's own tools make of them.

The layouts are drawn in `blocks32.py` and `blocks256.py` (blocks of 256). The work goes in pieces that stay
in the processor's second cache: numpy passes over a piece several times, and only the last pass should meet memory.
"""

import numpy as np
from jaxtyping import Float32, UInt8

from hanlin.core.errors import WeightsError
from hanlin.model.gguf import blocks32, blocks256
from hanlin.model.gguf.format import TensorType

WEIGHTS_AT_ONCE = 1 << 17
"""512 KB of float32. SmolLM2 (Q4_1) on two threads: 0.16 s; at a quarter of it 0.31 s, at eight times 0.17 s."""

TURN = {
    TensorType.F32: blocks32.f32,
    TensorType.F16: blocks32.f16,
    TensorType.BF16: blocks32.bf16,
    TensorType.Q4_0: blocks32.q4_0,
    TensorType.Q4_1: blocks32.q4_1,
    TensorType.Q5_0: blocks32.q5_0,
    TensorType.Q5_1: blocks32.q5_1,
    TensorType.Q8_0: blocks32.q8_0,
    TensorType.Q2_K: blocks256.q2_k,
    TensorType.Q3_K: blocks256.q3_k,
    TensorType.Q4_K: blocks256.q4_k,
    TensorType.Q5_K: blocks256.q5_k,
    TensorType.Q6_K: blocks256.q6_k,
    TensorType.IQ4_NL: blocks32.iq4_nl,
    TensorType.IQ4_XS: blocks256.iq4_xs,
}
"""For each type we carry, a function of blocks (N, block_bytes) that fills weights (N, block_size)."""


def dequantise(
    kind: TensorType, blocks: UInt8[np.ndarray, "rows bytes"], out: Float32[np.ndarray, "rows width"] | None = None
) -> Float32[np.ndarray, "rows width"]:
    """Rows of blocks as rows of weights, written into `out` where given (contiguous).

    Infinite and not-a-number scales give what arithmetic gives; whoever loads a model looks for those.

    Raises:
        WeightsError: the type is one we do not carry.
    """
    if kind not in TURN:
        known = " ".join(kind.name for kind in TURN)
        raise WeightsError(f"{kind.name} weights are not carried here", f"convert the model to one of {known}")
    rows, width = len(blocks), blocks.shape[1] // kind.block_bytes * kind.block_size
    out = np.empty((rows, width), np.float32) if out is None else out
    source = np.ascontiguousarray(blocks).reshape(-1, kind.block_bytes)
    target = out.reshape(-1, kind.block_size)
    assert out.flags.c_contiguous and len(source) == len(target), (kind, blocks.shape, out.shape)
    step = WEIGHTS_AT_ONCE // kind.block_size
    with np.errstate(all="ignore"):
        for begin in range(0, len(source), step):
            TURN[kind](source[begin : begin + step], target[begin : begin + step])
    return out
