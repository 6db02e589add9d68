"""Merged, a network is a plain one again and answers as it did with its additions."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hanlin.core.errors import RefusedError
from hanlin.core.plugins import find, names
from hanlin.model.adapters import peft
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.merge import merged
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.blocks import Stack
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load
from hanlin.model.opened import FAMILIES
from hanlin.model.save import save_folder, save_gguf
from model.adapters.additions import KINDS, Tiny, seed, stir, wrapped

CASES = [(family, case) for family in names(FAMILIES) for case in find(FAMILIES, family).TINY]


@pytest.mark.parametrize("use", ["lora", "dora"])
@pytest.mark.parametrize(("family", "case"), CASES, ids=lambda it: it.replace(" ", "-"))
def test_merged_it_answers_as_it_did_and_is_plain(family: str, case: str, use: str, tiny: Tiny, tokens: Tensor) -> None:
    network, plain = tiny(family, case).network, tiny(family, case).network
    add(network, AdapterSettings.model_validate({"use": use, "rank": 3, "dropout": 0.5}), seed())
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=seed(len(name))) * 0.02)
        before = network(tokens)
        merged(network)
        assert (network(tokens) - before).abs().max() < 1e-5
        assert (network(tokens) - plain(tokens)).abs().max() > 1e-3
    assert [(name, it.shape) for name, it in network.named_parameters()] == [
        (name, it.shape) for name, it in plain.named_parameters()
    ]
    assert [type(part) for part in network.modules()] == [type(part) for part in plain.modules()]
    stacks = [[part.rows for part in it.modules() if isinstance(part, Stack)] for it in (network, plain)]
    assert stacks[0] == stacks[1]
    assert all(weight.requires_grad for weight in network.parameters())


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_merged_weights_equal_those_that_peft_merges(
    kind: str, tiny: Tiny, theirs: Callable[[Checkpoint], nn.Module], tmp_path: Path
) -> None:
    ours = tiny("llama")
    model = wrapped(theirs(ours), KINDS[kind])
    stir(model)
    model.save_pretrained(tmp_path / "adapter")  # pyright: ignore[reportCallIssue]
    peft.load(ours.network, tmp_path / "adapter")
    merged(ours.network)
    save_folder(ours, tmp_path / "ours")
    expected = model.merge_and_unload().state_dict()  # pyright: ignore[reportCallIssue]
    from safetensors.torch import load_file

    for name, weight in load_file(tmp_path / "ours" / "model.safetensors").items():
        torch.testing.assert_close(weight, expected[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("base", ["int8", "int4"])
def test_a_quantised_base_becomes_the_dense_weights_it_learned_on(base: str, tiny: Tiny, tokens: Tensor) -> None:
    network = tiny("qwen3").network
    add(network, AdapterSettings.model_validate({"rank": 3, "base": base, "targets": ("q", "down")}), seed())
    stir(network)
    with torch.no_grad():
        before = network(tokens)
        merged(network)
        torch.testing.assert_close(network(tokens), before, atol=1e-5, rtol=0)
    assert not [*network.buffers()]


def test_in_bfloat16_only_the_last_rounding_is_lost(tiny: Tiny) -> None:
    wide, narrow = tiny("llama").network.bfloat16().float(), tiny("llama").network.bfloat16()
    for network in (wide, narrow):
        add(network, AdapterSettings(use="dora", rank=3), seed())
        stir(network)
        merged(network)
    for mine, other in zip(narrow.parameters(), wide.parameters(), strict=True):
        assert mine.dtype == torch.bfloat16
        assert torch.equal(mine, other.bfloat16())


def test_a_network_that_is_not_merged_is_not_saved_as_if_it_were(tiny: Tiny, tmp_path: Path) -> None:
    checkpoint = tiny("llama")
    add(checkpoint.network, AdapterSettings(rank=3), seed())
    with pytest.raises(RefusedError, match="adapter"):
        save_folder(checkpoint, tmp_path / "folder")
    with pytest.raises(RefusedError, match="adapter"):
        save_gguf(checkpoint, tmp_path / "file.gguf")
    merged(checkpoint.network)
    save_folder(checkpoint, tmp_path / "folder")
    assert all(map(torch.equal, load(tmp_path / "folder").network.parameters(), checkpoint.network.parameters()))
