"""Frozen parts do not change; a pattern that means nothing is an error."""

import pytest
import torch
from torch import Tensor

from hanlin.core.errors import ConfigError
from hanlin.model.freeze import freeze
from model.adapters.additions import Tiny


def test_frozen_parts_do_not_change_and_the_others_do(tiny: Tiny, tokens: Tensor) -> None:
    network = tiny("llama").network.train()
    frozen = freeze(network, ["embed", "layers.[0-1].*", "*mlp_norm"])
    assert "embed.weight" in frozen and "layers.2.mlp_norm.weight" in frozen
    assert "norm.weight" not in frozen and "layers.2.mlp.down.weight" not in frozen
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    optimiser = torch.optim.AdamW([it for it in network.parameters() if it.requires_grad], lr=0.01, weight_decay=0.1)
    for _ in range(3):
        network(tokens).logsumexp(-1).sum().backward()
        optimiser.step()
    changed = {name for name, weight in network.named_parameters() if not torch.equal(weight, before[name])}
    assert changed == before.keys() - set(frozen)
    assert [name for name, weight in network.named_parameters() if not weight.requires_grad] == frozen


def test_a_name_means_that_part_and_no_other(tiny: Tiny) -> None:
    network = tiny("llama").network
    assert freeze(network, ["norm"]) == ["norm.weight"]
    assert all(name.startswith("layers.1.") for name in freeze(network, ["layers.1"]))
    assert freeze(network, []) == []


def test_a_pattern_that_means_nothing_is_an_error(tiny: Tiny) -> None:
    network = tiny("llama").network
    with pytest.raises(ConfigError, match="'embedd' means no part") as caught:
        freeze(network, ["norm", "embedd"])
    assert caught.value.fix == "did you mean 'embed'?"
    with pytest.raises(ConfigError, match="leaves nothing that learns"):
        freeze(network, ["*"])
    assert all(weight.requires_grad for weight in network.parameters())
