"""Kinds of additions, the same for us and for PEFT."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.checkpoint import Checkpoint

# PEFT asks Transformers for what it calls by another name now.
OLD = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

Tiny = Callable[..., Checkpoint]
SHORT = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "o_proj", "gate": "gate_proj", "up": "up_proj"}
LONG = SHORT | {"down": "down_proj"}
KINDS = {
    "lora": AdapterSettings(rank=4, alpha=6),
    "rank-stabilised": AdapterSettings(rank=4, alpha=6, is_rank_stabilised=True),
    "dora": AdapterSettings(use="dora", rank=4, alpha=6),
    "some": AdapterSettings(rank=3, targets=("q", "v", "up")),
    "some-dora": AdapterSettings(use="dora", rank=3, targets=("k", "o", "gate", "down")),
}


def seed(number: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def wrapped(model: nn.Module, settings: AdapterSettings) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # pyright: ignore[reportArgumentType]
        use_rslora=settings.is_rank_stabilised,
        use_dora=settings.use == "dora",
        target_modules=[LONG[target] for target in settings.targets],
    )
    return get_peft_model(model, config).eval()  # pyright: ignore[reportArgumentType]


def stir(network: nn.Module) -> None:
    """What learns is no longer what it was at the start."""
    chance = seed(7)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=chance) * 0.1)
