"""What an engine may be told."""

from typing import Literal

from pydantic import Field

from hanlin.core.settings import Settings


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
    speculates: bool = True
    """Guess the next tokens from what was said before, and check several at once; switched off where it loses."""
