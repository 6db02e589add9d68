"""What an engine may be told."""

from typing import Literal

from pydantic import Field

from hanlin.core.errors import CapacityError
from hanlin.core.machine import allowed_memory
from hanlin.core.settings import Settings
from hanlin.infer.engine.guess import MOST
from hanlin.infer.engine.pages import SIZE
from hanlin.kernels.plan import Plan


class EngineSettings(Settings):
    """How much room an engine has, and how it uses it. None of this changes an answer."""

    kv_store: Literal["float32", "bfloat16", "int8"] = "float32"
    """What keys and values are kept as. (This one does change answers, a little.)"""
    kv_blocks: int | None = Field(default=None, ge=2)
    """Blocks of 32 positions; None for room enough for `streams` full contexts, at most half of the free memory."""
    streams: int = Field(default=16, ge=1, le=1024)
    """Most sequences that are computed at the same time; others wait."""
    step_tokens: int = Field(default=256, ge=32, le=4096)
    """Most tokens of prompts in a step while answers are being written; four times as many while none is."""
    has_prefix_cache: bool = True
    """Keep what was computed of prompts and answers for others that begin alike."""
    prefix_folder: str = ""
    """Also keep what was computed of prompts in this folder, for when the model is loaded again; empty for none."""
    prefix_mb: int = Field(default=1000, ge=1)
    """Largest size of that folder; what was used longest ago goes first."""
    speculates: bool = True
    """Guess the next tokens from what was said before, and check several at once; switched off where it loses."""


def count_blocks(plan: Plan, context: int, settings: EngineSettings) -> int:
    """Blocks for keys and values that an engine should have.

    Raises:
        CapacityError: keys and values of one full context exceed the free memory.
    """
    if settings.kv_blocks is not None:
        return settings.kv_blocks
    one = plan.blocks(0, settings.kv_store).block_bytes
    full = -(-(context + MOST) // SIZE) + 1
    free = allowed_memory().available_bytes // 2 // one
    if free < min(full, 64):
        what = f"{free:,} blocks of {one:,} bytes fit in half of the free memory, and {min(full, 64):,} are needed"
        raise CapacityError(what, "keep keys and values in fewer bits (kv_store), or close other programs")
    return min(free, full * settings.streams)
