"""Operations by formula against those that torch counts kernel by kernel."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hanlin.core.plugins import find
from hanlin.data.batch import Batch
from hanlin.model import learning
from hanlin.model.blocks import Experts
from hanlin.model.decoder import Decoder
from hanlin.train import cost
from hanlin.train.cross_entropy import summed


def tiny(family: str = "llama", case: str = "shared heads", **changes: object) -> Decoder:
    module = find("hanlin.model.families", family)
    torch.manual_seed(0)
    return Decoder(module.parts(module.TINY[case].model_copy(update=changes)))


def batch(rows: int = 2, length: int = 32, documents: torch.Tensor | None = None) -> Batch:
    tokens = torch.arange(rows * length).view(rows, length) % 97
    return Batch(tokens, tokens, torch.ones(tokens.shape), documents)


def counted(network: Decoder, given: Batch) -> float:
    with FlopCounterMode(display=False) as counter:
        loss = summed(network, network.trunk(given.tokens, None, given.documents), given.targets, given.weights)
        if loss.requires_grad:
            loss.backward()
    return float(counter.get_total_flops())


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pass that goes through attention in blocks, and twice: torch counts what is really computed."""
    monkeypatch.setattr(learning, "is_learning", lambda *_: False)


def maps(network: Decoder, given: Batch) -> float:
    """Without attention: torch does not see into its own kernel for that."""
    return cost.of_batch(network, given) - cost.attention(network, [given.tokens.shape[1]] * given.rows)


@pytest.mark.parametrize("case", ["shared heads", "own head"])
def test_maps_and_head_cost_what_torch_counts(case: str) -> None:
    network, given = tiny(case=case), batch()
    assert counted(network, given) == pytest.approx(maps(network, given))


def test_attention_costs_half_of_what_torch_counts_where_all_scores_are_made() -> None:
    network, given = tiny("gemma3", "soft caps", windows=(None,) * 3), batch()
    half = cost.attention(network, [32, 32]) * 32 / 33  # a position sees itself, too
    assert counted(network, given) - maps(network, given) == pytest.approx(2 * half)


def test_frozen_maps_cost_no_gradients_of_their_own() -> None:
    network, given = tiny(case="own head"), batch()
    for name, weight in network.named_parameters():
        weight.requires_grad = "norm" in name
    assert counted(network, given) == pytest.approx(maps(network, given), rel=0.02)


def test_layers_before_all_that_learns_cost_the_way_forward_only() -> None:
    network = tiny(case="own head")
    whole = cost.per_position(network)
    for name, weight in network.named_parameters():
        weight.requires_grad = name.startswith("layers.2")
    assert cost.per_position(network) == pytest.approx(whole * (1 + 1 + 3) / 9)
    assert cost.attention(network, [32]) == pytest.approx(4 * 64 * (32 * 33 / 2) * (1 + 1 + 3))


def test_only_the_chosen_experts_count() -> None:
    network = tiny("qwen3_moe", "experts")
    some = cost.per_position(network)
    for layer in network.layers:
        part = layer.get_submodule("mlp")
        assert isinstance(part, Experts)
        idle = sum(it.numel() for it in part.experts.parameters()) * (1 - part.chosen / len(part.experts))
        some += 6 * idle
    everything = sum(it.numel() for it in network.layers.parameters() if it.ndim == 2)
    assert some == pytest.approx(6 * everything)


def test_ungraded_positions_cost_no_head_and_other_texts_are_not_seen() -> None:
    network = tiny()
    whole, half = batch(), batch()
    half.weights[:, ::2] = 0
    saved = cost.of_batch(network, whole) - cost.of_batch(network, half)
    assert saved == pytest.approx(32 * 6 * network.embed.weight.numel())
    documents = torch.tensor([[0] * 16 + [1] * 16] * 2)
    seen = cost.of_batch(network, whole) - cost.of_batch(network, batch(documents=documents))
    assert seen == pytest.approx(cost.attention(network, [32, 32]) - cost.attention(network, [16] * 4))
    near = tiny(windows=(4, 4, 4), kind="mistral")
    assert cost.attention(near, [32]) == pytest.approx(3 * 3 * 4 * 32 * (1 + 2 + 3 + 4 * 29))


def test_a_pair_costs_both_ends() -> None:
    network = tiny()
    one = batch()
    pair = Batch(one.tokens, one.targets, one.weights, rejected=one)
    assert cost.of_batch(network, pair) == 2 * cost.of_batch(network, one)


def test_quantised_maps_count_as_what_they_stand_for() -> None:
    network = tiny(case="own head")
    for weight in network.parameters():
        weight.requires_grad = False
    network.embed.weight.requires_grad = True  # so that gradients go through all
    wanted = cost.per_position(network)
    for module in network.layers.modules():
        if isinstance(module, nn.Linear):
            module.weight = None  # pyright: ignore[reportAttributeAccessIssue]
    assert cost.per_position(network) == wanted
