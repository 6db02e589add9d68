"""Blocks of 32 weights, and plain floats: bytes (N, block_bytes) in, float32 (N, 32) filled.

`…_codes` fill in the small integers alone, of whatever kind `out` is.

What stands at which byte of a block; d is the scale and m the smallest value, both float16:

    type      bytes                                                        weight
    Q4_0      d 0–1 · nibbles 2–17                                         d · (nibble − 8)
    Q4_1      d 0–1 · m 2–3 · nibbles 4–19                                 d · nibble + m
    Q5_0      d 0–1 · fifth bits 2–5 · nibbles 6–21                        d · (five − 16)
    Q5_1      d 0–1 · m 2–3 · fifth bits 4–7 · nibbles 8–23                d · five + m
    Q8_0      d 0–1 · signed bytes 2–33                                    d · byte
    IQ4_NL    d 0–1 · nibbles 2–17                                         d · CURVE[nibble]

Sixteen bytes hold 32 nibbles: weight i is the low half of byte i, weight 16 + i its high half. "five" is a nibble
with bit i of the fifth bits (little-endian) on top of it.

Reference: `dequantize_row_*` in ggml's `ggml-quants.c`; each float operation is theirs, in their order.
"""

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

Blocks = UInt8[np.ndarray, "N bytes"]
Weights = Float32[np.ndarray, "N size"]
AnyKind = Shaped[np.ndarray, "N size"]

LOW, FOUR = np.uint8(15), np.uint8(4)
CURVE = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
"""What the nibbles of IQ4 stand for: denser near zero, where most weights are."""


def packed(blocks: Blocks, begin: int, end: int) -> UInt8[np.ndarray, "N some"]:
    """Some bytes of every block, moved side by side: numpy then passes over them without a step at each block."""
    return blocks[:, begin:end].view(f"V{end - begin}").copy().view(np.uint8)


def half(blocks: Blocks, begin: int) -> Float32[np.ndarray, "N 1"]:
    """The float16 at a byte of every block."""
    return blocks[:, begin : begin + 2].view("<f2").astype(np.float32)


def f32(blocks: Blocks, out: Weights) -> None:
    """As they are."""
    np.copyto(out, blocks.view("<f4"))


def f16(blocks: Blocks, out: Weights) -> None:
    """Widened."""
    np.copyto(out, blocks.view("<f2"))


def bf16(blocks: Blocks, out: Weights) -> None:
    """The upper halves of float32s."""
    bits = out.view(np.uint32)
    np.copyto(bits, blocks.view("<u2"))
    np.left_shift(bits, 16, out=bits)


def q4_0_codes(blocks: Blocks, out: AnyKind) -> None:
    """From -8 to 7."""
    nibbles = packed(blocks, 2, 18)
    out[:, :16] = (nibbles & LOW).view(np.int8) - np.int8(8)
    out[:, 16:] = (nibbles >> FOUR).view(np.int8) - np.int8(8)


def q4_0(blocks: Blocks, out: Weights) -> None:
    """Signed nibbles."""
    q4_0_codes(blocks, out)
    out *= half(blocks, 0)


def q4_1_codes(blocks: Blocks, out: AnyKind) -> None:
    """From 0 to 15."""
    nibbles = packed(blocks, 4, 20)
    out[:, :16] = nibbles & LOW
    out[:, 16:] = nibbles >> FOUR


def q4_1(blocks: Blocks, out: Weights) -> None:
    """Nibbles above the smallest value."""
    q4_1_codes(blocks, out)
    out *= half(blocks, 0)
    out += half(blocks, 2)


def q5_0_codes(blocks: Blocks, out: AnyKind) -> None:
    """From -16 to 15."""
    out[:] = _fives(packed(blocks, 2, 6), packed(blocks, 6, 22)).view(np.int8) - np.int8(16)


def q5_0(blocks: Blocks, out: Weights) -> None:
    """Five bits, signed."""
    q5_0_codes(blocks, out)
    out *= half(blocks, 0)


def q5_1_codes(blocks: Blocks, out: AnyKind) -> None:
    """From 0 to 31."""
    out[:] = _fives(packed(blocks, 4, 8), packed(blocks, 8, 24))


def q5_1(blocks: Blocks, out: Weights) -> None:
    """Five bits above the smallest value."""
    q5_1_codes(blocks, out)
    out *= half(blocks, 0)
    out += half(blocks, 2)


def _fives(fifth: UInt8[np.ndarray, "N 4"], nibbles: UInt8[np.ndarray, "N 16"]) -> UInt8[np.ndarray, "N 32"]:
    fives = np.unpackbits(fifth, axis=1, bitorder="little") << FOUR
    fives[:, :16] |= nibbles & LOW
    fives[:, 16:] |= nibbles >> FOUR
    return fives


def q8_0_codes(blocks: Blocks, out: AnyKind) -> None:
    """From -128 to 127."""
    out[:] = blocks[:, 2:].view(np.int8)


def q8_0(blocks: Blocks, out: Weights) -> None:
    """Signed bytes."""
    q8_0_codes(blocks, out)
    out *= half(blocks, 0)


def iq4_nl_codes(blocks: Blocks, out: AnyKind) -> None:
    """What the curve says: from -127 to 113."""
    nibbles = packed(blocks, 2, 18)
    out[:, :16] = CURVE.take(nibbles & LOW)
    out[:, 16:] = CURVE.take(nibbles >> FOUR)


def iq4_nl(blocks: Blocks, out: Weights) -> None:
    """Nibbles through the curve."""
    iq4_nl_codes(blocks, out)
    out *= half(blocks, 0)
