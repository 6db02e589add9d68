"""What fits here: free memory and read speed in, a table of model sizes by kind of weight out.

An answer reads every weight once per token, so read speed ÷ bytes of weights is the most tokens per second that one
conversation can get (the roofline). It is an estimate and a ceiling, never a promise.
"""

from typing import Any

GIB = 1 << 30
RUNTIME_BYTES = 400 << 20
"""Python, torch and room to work in; measured as 0.35 GiB before any weight is there."""
CONTEXT = 4096
"""Tokens of conversation that must fit too, in float32."""

SIZES: tuple[tuple[str, float, int], ...] = (
    ("135M SmolLM2", 134.5e6, 11520),
    ("0.5B Qwen2.5", 494e6, 6144),
    ("1.5B Qwen2.5", 1.544e9, 14336),
    ("3B Qwen2.5", 3.086e9, 18432),
    ("7B Qwen2.5", 7.616e9, 28672),
    ("14B Qwen2.5", 14.77e9, 98304),
    ("32B Qwen2.5", 32.76e9, 131072),
)
"""A model of each size people run: name, parameters, numbers kept per token (2 x layers x kv heads x head width)."""

KINDS: tuple[tuple[str, float], ...] = (("float32", 4), ("bfloat16", 2), ("8-bit", 34 / 32), ("4-bit", 18 / 32))
"""Bytes per weight; of the last two, a block of 32 carries a scale of two bytes (Q8_0, Q4_0)."""


def fits(available_bytes: int, read_bytes_per_second: float | None) -> list[dict[str, Any]]:
    """One row per model and kind: bytes needed, whether they fit, and the ceiling of tokens per second."""
    rows = []
    for name, parameters, kept in SIZES:
        for kind, width in KINDS:
            weights = parameters * width
            needed = int(weights + 4 * kept * CONTEXT + RUNTIME_BYTES)
            speed = read_bytes_per_second / weights if read_bytes_per_second else None
            row = {"model": name, "kind": kind, "needed_bytes": needed, "fits": needed <= available_bytes}
            rows.append({**row, "most_tokens_per_second": speed})
    return rows
