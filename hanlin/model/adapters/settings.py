"""The section [adapter] of a run file."""

from typing import Literal

from pydantic import Field

from hanlin.core.settings import Settings


class AdapterSettings(Settings):
    """A small addition to frozen weights."""

    use: Literal["lora", "dora"] = "lora"
    """lora: https://arxiv.org/abs/2106.09685; dora: https://arxiv.org/abs/2402.09353"""
    path: str = ""
    """An adapter in PEFT's format to go on from; empty for a new one."""
    rank: int = Field(default=16, ge=1)
    """Width of the addition."""
    alpha: float = Field(default=32, gt=0)
    """The addition is scaled by alpha / rank."""
    is_rank_stabilised: bool = False
    """Scaled by alpha / √rank instead (rsLoRA)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the addition's inputs that are left out at random."""
    targets: tuple[str, ...] = ("q", "k", "v", "o", "gate", "up", "down")
    """Which maps get one, in the formats' short names."""
    base: Literal["as_is", "int8", "int4"] = "as_is"
    """Keep the frozen weights quantised while the addition learns (QLoRA: https://arxiv.org/abs/2305.14314)."""
