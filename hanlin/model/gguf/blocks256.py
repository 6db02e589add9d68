"""Blocks of 256 weights in groups that have scales of their own: bytes (N, block_bytes) in, float32 (N, 256) filled.

`…_codes` fill in the small integers alone, of whatever kind `out` is; `…_scales` are those of the groups, (N, groups).

What stands at which byte of a block; d and dmin are float16 and scale the groups' own small scales s and minima m:

    type      bytes                                                                  weight (groups of)
    Q2_K      s low, m high half 0–15 · q 16–79 · d 80–81 · dmin 82–83               d·s · q − dmin·m (16)
    Q3_K      third bits 0–31 · q 32–95 · s 96–107 · d 108–109                       d·(s − 32) · (q − 4·¬third) (16)
    Q4_K      d 0–1 · dmin 2–3 · s, m 4–15 · q 16–143                                d·s · q − dmin·m (32)
    Q5_K      d 0–1 · dmin 2–3 · s, m 4–15 · fifth bits 16–47 · q 48–175             d·s · five − dmin·m (32)
    Q6_K      q 0–127 · upper two bits 128–191 · s signed 192–207 · d 208–209        d·s · (six − 32) (16)
    IQ4_XS    d 0–1 · s upper bits 2–3 · s lower halves 4–7 · q 8–135                d·(s − 32) · CURVE[q] (32)

How the small integers q fill their bytes, as [array of bytes] → order of the weights:

    Q2_K, Q3_K      [2, 32] bytes of four crumbs   →  [2, crumb, 32]
    Q4_K, Q5_K      [4, 32] bytes of two nibbles   →  [4, nibble, 32]
    Q6_K            [2, 64] bytes of two nibbles   →  [2, nibble, 64];  [2, 32] bytes of four crumbs → [2, crumb, 32]
    IQ4_XS          [8, 16] bytes of two nibbles   →  [8, nibble, 16]
    bits on top     [32] bytes of eight bits       →  [bit, 32]

The lowest bits of a byte come first. The 6-bit scales of Q4_K and Q5_K and those of Q3_K are drawn at their functions.

Reference: `dequantize_row_*` in ggml's `ggml-quants.c`; each float operation is theirs, in their order.
"""

import numpy as np
from jaxtyping import Float32, UInt8

from hanlin.model.gguf.blocks32 import CURVE, FOUR, LOW, AnyKind, Blocks, Weights, half, packed

Scales = Float32[np.ndarray, "N groups"]


def q2_k_codes(blocks: Blocks, out: AnyKind) -> None:
    """From 0 to 3."""
    out.reshape(-1, 2, 4, 32)[:] = _crumbs(packed(blocks, 16, 80))


def q2_k_scales(blocks: Blocks) -> tuple[Scales, Scales]:
    """Scales, and what is taken away."""
    scales = blocks[:, :16]
    return half(blocks, 80) * (scales & LOW), half(blocks, 82) * (scales >> FOUR)


def q2_k(blocks: Blocks, out: Weights) -> None:
    """Two bits above a minimum."""
    q2_k_codes(blocks, out)
    _scale(out, *q2_k_scales(blocks))


def _scale(out: Weights, scales: Scales, minima: Scales) -> None:
    weights = out.reshape(*scales.shape, -1)
    weights *= scales[:, :, None]
    weights -= minima[:, :, None]


def q3_k_codes(blocks: Blocks, out: AnyKind) -> None:
    """From -4 to 3; a third bit of one means that nothing is taken away."""
    third = _bits(packed(blocks, 0, 32)).reshape(-1, 2, 4, 32) << np.uint8(2)
    out.reshape(-1, 2, 4, 32)[:] = (_crumbs(packed(blocks, 32, 96)) + third).view(np.int8) - np.int8(4)


def q3_k_scales(blocks: Blocks) -> Scales:
    """Sixteen."""
    return half(blocks, 108) * _scales_of_q3(packed(blocks, 96, 108))


def q3_k(blocks: Blocks, out: Weights) -> None:
    """Three bits, signed."""
    q3_k_codes(blocks, out)
    weights = out.reshape(-1, 16, 16)
    weights *= q3_k_scales(blocks)[:, :, None]


def _scales_of_q3(bytes_: UInt8[np.ndarray, "N 12"]) -> Float32[np.ndarray, "N 16"]:
    """Sixteen scales of 6 bits: 0–7 and 8–15 are the halves of bytes 0–7; bytes 8–11 have the upper two bits.

    byte 8 + i, from the top: upper bits of scale 12 + i · of 8 + i · of 4 + i · of i
    """
    lower, upper = bytes_[:, None, :8], bytes_[:, None, 8:]
    nibbles = (lower >> np.array([[0], [4]], np.uint8)) & LOW  # (N, 2, 8)
    crumbs = (upper >> np.array([[0], [2], [4], [6]], np.uint8)) & np.uint8(3)  # (N, 4, 4)
    six = nibbles.reshape(-1, 16) | crumbs.reshape(-1, 16) << FOUR
    return (six.view(np.int8) - np.int8(32)).astype(np.float32)


def q4_k_codes(blocks: Blocks, out: AnyKind) -> None:
    """From 0 to 15."""
    q = packed(blocks, 16, 144).reshape(-1, 4, 32)
    pairs = out.reshape(-1, 4, 2, 32)
    pairs[:, :, 0] = q & LOW
    pairs[:, :, 1] = q >> FOUR


def q4_k(blocks: Blocks, out: Weights) -> None:
    """Four bits above a minimum."""
    q4_k_codes(blocks, out)
    _scale(out, *k_scales(blocks))


def q5_k_codes(blocks: Blocks, out: AnyKind) -> None:
    """From 0 to 31."""
    five = _bits(packed(blocks, 16, 48)).reshape(-1, 4, 2, 32) << FOUR
    q = packed(blocks, 48, 176).reshape(-1, 4, 32)
    five[:, :, 0] |= q & LOW
    five[:, :, 1] |= q >> FOUR
    out.reshape(-1, 4, 2, 32)[:] = five


def q5_k(blocks: Blocks, out: Weights) -> None:
    """Five bits above a minimum."""
    q5_k_codes(blocks, out)
    _scale(out, *k_scales(blocks))


def k_scales(blocks: Blocks) -> tuple[Scales, Scales]:
    """Scales of Q4_K's and Q5_K's groups and what is taken away: their s and m of 6 bits lie in bytes 4–15.

    byte   i < 4: upper two bits of s[4 + i] · s[i]
           4 + i: upper two bits of m[4 + i] · m[i]
           8 + i: lower four bits of m[4 + i] · lower four bits of s[4 + i]
    """
    first, second, rest = np.split(packed(blocks, 4, 16), 3, axis=1)
    six, top = np.uint8(0x3F), np.uint8(0x30)
    scales = np.hstack([first & six, rest & LOW | first >> np.uint8(2) & top])
    minima = np.hstack([second & six, rest >> FOUR | second >> np.uint8(2) & top])
    return half(blocks, 0) * scales, half(blocks, 2) * minima


def q6_k_codes(blocks: Blocks, out: AnyKind) -> None:
    """From -32 to 31."""
    six = _crumbs(packed(blocks, 128, 192)) << FOUR  # (N, 2, 4, 32)
    pairs = six.reshape(-1, 2, 2, 64)
    q = packed(blocks, 0, 128).reshape(-1, 2, 64)
    pairs[:, :, 0] |= q & LOW
    pairs[:, :, 1] |= q >> FOUR
    out[:] = six.reshape(-1, 256).view(np.int8) - np.int8(32)


def q6_k_scales(blocks: Blocks) -> Scales:
    """Sixteen, signed."""
    return half(blocks, 208) * blocks[:, 192:208].view(np.int8)


def q6_k(blocks: Blocks, out: Weights) -> None:
    """Six bits, signed."""
    q6_k_codes(blocks, out)
    weights = out.reshape(-1, 16, 16)
    weights *= q6_k_scales(blocks)[:, :, None]


def iq4_xs_codes(blocks: Blocks, out: AnyKind) -> None:
    """What the curve says: from -127 to 113."""
    q = packed(blocks, 8, 136).reshape(-1, 8, 16)
    pairs = out.reshape(-1, 8, 2, 16)
    pairs[:, :, 0] = CURVE.take(q & LOW)
    pairs[:, :, 1] = CURVE.take(q >> FOUR)


def iq4_xs_scales(blocks: Blocks) -> Scales:
    """Eight, signed."""
    lower = (packed(blocks, 4, 8)[:, :, None] >> np.array([0, 4], np.uint8) & LOW).reshape(-1, 8)
    upper = blocks[:, 2:4].view("<u2") >> np.arange(0, 16, 2, dtype=np.uint16) & np.uint16(3)
    scales = (lower | upper.astype(np.uint8) << FOUR).view(np.int8) - np.int8(32)
    return half(blocks, 0) * scales


def iq4_xs(blocks: Blocks, out: Weights) -> None:
    """Four bits through the curve."""
    iq4_xs_codes(blocks, out)
    weights = out.reshape(-1, 8, 32)
    weights *= iq4_xs_scales(blocks)[:, :, None]


def _crumbs(bytes_: UInt8[np.ndarray, "N 64"]) -> UInt8[np.ndarray, "N 2 4 32"]:
    """Two bits at a time, the lowest first."""
    crumbs = np.empty((len(bytes_), 2, 4, 32), np.uint8)
    for place in range(4):
        crumbs[:, :, place] = (bytes_ >> np.uint8(2 * place) & np.uint8(3)).reshape(-1, 2, 32)
    return crumbs


def _bits(bytes_: UInt8[np.ndarray, "N 32"]) -> UInt8[np.ndarray, "N 8 32"]:
    """One bit at a time, the lowest first."""
    bits = np.empty((len(bytes_), 8, 32), np.uint8)
    for place in range(8):
        bits[:, place] = bytes_ >> np.uint8(place) & np.uint8(1)
    return bits
