"""Tiny models that both houses know: ours, and what Transformers makes of the same folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hanlin.core.plugins import find
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.opened import FAMILIES
from hanlin.model.save import save_folder

TOKENS = torch.randint(0, 97, (2, 24), generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny tensors gain nothing from more."""
    torch.set_num_threads(1)


@pytest.fixture
def tokens() -> torch.Tensor:
    """Two rows of 24."""
    return TOKENS


Tiny = Callable[..., Checkpoint]


@pytest.fixture
def tiny() -> Tiny:
    """`tiny("qwen3")` is that family's first small model with random weights."""

    def make(family: str, case: str = "") -> Checkpoint:
        module = find(FAMILIES, family)
        config = module.TINY[case or next(iter(module.TINY))]
        torch.manual_seed(0)
        network = Decoder(module.parts(config)).eval()
        chance = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn(weight.shape, generator=chance) * 0.1)
        return Checkpoint(network=network, config=config, family=family, tokenizer=None)

    return make


@pytest.fixture
def theirs(tmp_path: Path) -> Callable[[Checkpoint], torch.nn.Module]:
    """The same model as Transformers loads it from a folder."""

    def make(checkpoint: Checkpoint) -> torch.nn.Module:
        from transformers import AutoModelForCausalLM

        save_folder(checkpoint, tmp_path / "base")
        return AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32).eval()

    return make
