"""How weights move: AdamW and Muon against torch's own, groups, precision, and a state that restores bit for bit."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hanlin.core.plugins import find, names
from hanlin.core.settings import parse
from hanlin.model.decoder import Decoder
from hanlin.train.ema import Mean
from hanlin.train.orthogonal import STEPS, orthogonalised

FOLDER = "hanlin.train.optimisers"
TOKENS = torch.randint(0, 97, (4, 12), generator=torch.Generator().manual_seed(0))


def tiny(case: str = "biases", seed: int = 0) -> Decoder:
    llama = find("hanlin.model.families", "llama")
    torch.manual_seed(seed)
    return Decoder(llama.parts(llama.TINY[case]))


def build(use: str, network: nn.Module, rate: float = 0.01, **settings: Any) -> torch.optim.Optimizer:
    return parse(find(FOLDER, use).Optimiser, settings).build(network, rate)


def graded(network: Decoder, shift: int = 0) -> None:
    network.zero_grad()
    tokens = (TOKENS + shift) % 97
    logits = network(tokens[:, :-1])
    nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten()).backward()


def train(network: Decoder, optimiser: torch.optim.Optimizer, steps: int) -> None:
    for step in range(steps):
        graded(network, step)
        optimiser.step()


def test_adamw_is_torchs() -> None:
    ours, theirs = tiny(), tiny()
    optimiser = build("adamw", ours, 0.003, decay=0.2, betas=(0.9, 0.95))
    decayed = [it for name, it in theirs.named_parameters() if it.ndim == 2 and name != "embed.weight"]
    others = [it for name, it in theirs.named_parameters() if it.ndim != 2 or name == "embed.weight"]
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": 0.2}, {"params": others, "weight_decay": 0.0}]
    expected = torch.optim.AdamW(groups, lr=0.003, betas=(0.9, 0.95), foreach=False)
    for step in range(5):
        graded(ours, step)
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert own.grad is not None
            other.grad = own.grad.clone()
        optimiser.step()
        expected.step()
    for (name, got), wanted in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def stacked(network: Decoder) -> list[tuple[str, nn.Parameter, tuple[int, ...]]]:
    modules = dict(network.named_modules())
    return [
        (name, it, getattr(modules[name.rpartition(".")[0]], "rows", (len(it),)))
        for name, it in network.named_parameters()
        if name.startswith("layers") and it.ndim == 2
    ]


def test_muon_is_torchs_map_by_map(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = tiny(), tiny()
    optimiser = build("muon", ours, 0.02, decay=0.05)
    blocks, owners = [], []
    for _, weight, rows in stacked(theirs):
        cut = [nn.Parameter(block.detach().clone()) for block in weight.split(rows)]
        blocks += cut
        owners.append((weight, cut))
    expected = torch.optim.Muon(blocks, lr=0.02, weight_decay=0.05, momentum=0.95)
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)  # theirs computes as precisely as ours
    monkeypatch.setattr(optimiser, "product_dtype", torch.float32)
    start = {name: it.detach().clone() for name, it in ours.named_parameters()}
    for step in range(3):
        graded(ours, step)
        optimiser.step()
        for (weight, cut), (_, own, rows) in zip(owners, stacked(ours), strict=True):
            del weight
            assert own.grad is not None
            for block, gradient in zip(cut, own.grad.split(rows), strict=True):
                block.grad = gradient.clone()
        expected.step()
    for (_, cut), (name, own, _) in zip(owners, stacked(ours), strict=True):
        wanted = torch.cat(list(cut)) - start[name]
        assert wanted.norm() > 0.01
        torch.testing.assert_close(own - start[name], wanted, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("shape", [(48, 16), (16, 48), (32, 32)])
def test_an_orthogonal_update_keeps_singular_vectors_and_bends_singular_values_by_the_polynomial(
    shape: tuple[int, int],
) -> None:
    matrix = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    bent = values / values.square().sum().sqrt()
    for _ in range(5):
        a, b, c = STEPS["muon"][0]
        bent = a * bent + b * bent**3 + c * bent**5
    got = orthogonalised(matrix[None])[0]
    torch.testing.assert_close(got, left @ torch.diag(bent) @ right, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(orthogonalised(matrix.float()[None])[0], got.float(), atol=1e-4, rtol=1e-3)


def test_the_optimal_coefficients_come_nearer_to_one() -> None:
    matrix = torch.randn(3, 64, 32, generator=torch.Generator().manual_seed(0))
    far = {
        kind: (torch.linalg.svdvals(orthogonalised(matrix, kind)) - 1).abs().mean()  # pyright: ignore
        for kind in STEPS
    }
    assert far["polar_express"] < 0.1 < far["muon"] < 0.3


def test_muon_moves_only_the_matrices_of_layers_and_the_clip_leaves_those_alone() -> None:
    network = tiny("own head")
    optimiser = build("muon", network, 0.02)
    group_of = {id(it): group for group in optimiser.param_groups for it in group["params"]}
    for name, weight in network.named_parameters():
        group = group_of[id(weight)]
        is_hidden = name.startswith("layers") and weight.ndim == 2
        assert (group["kind"] == "muon") is is_hidden, name
        assert group["is_clipped"] is not is_hidden, name
        assert group["lr"] == pytest.approx(0.02 * group["scale"])
    assert len(group_of) == len(list(network.parameters()))


def test_parts_that_are_frozen_are_left_out_and_what_is_added_moves_by_adamw() -> None:
    network = tiny()
    for weight in network.parameters():
        weight.requires_grad = False
    map_in = network.layers[0].get_submodule("mlp.down")
    map_in.addition = nn.Parameter(torch.zeros(4, 8))
    for use in names(FOLDER):
        groups = build(use, network).param_groups
        assert [it is map_in.addition for group in groups for it in group["params"]] == [True]
        assert groups[0]["kind"] == "adamw"


def test_norms_biases_and_embeddings_do_not_decay_unless_told() -> None:
    network = tiny()
    before = {name: it.detach().clone() for name, it in network.named_parameters()}
    optimiser = build("adamw", network, 0.1, decay=0.5)
    for weight in network.parameters():
        weight.grad = torch.zeros_like(weight)
    optimiser.step()
    for name, weight in network.named_parameters():
        is_kept = weight.ndim == 1 or name == "embed.weight"
        torch.testing.assert_close(weight.detach(), before[name] * (1 if is_kept else 0.95), msg=name)
    assert {group["weight_decay"] for group in build("adamw", network, is_all_decayed=True).param_groups} == {0.01}


def test_cautious_decay_only_where_the_update_shrinks_a_weight() -> None:
    network = tiny("shared heads")
    plain, cautious = copy.deepcopy(network), copy.deepcopy(network)
    free = copy.deepcopy(network)
    for it, settings in ((plain, {}), (cautious, {"is_cautious": True}), (free, {"decay": 0.0})):
        train(it, build("muon", it, 0.02, **{"decay": 1.0} | settings), 1)
    for (_, start, _), (_, all_, _), (_, some, _), (_, none, _) in zip(
        stacked(network), stacked(plain), stacked(cautious), stacked(free), strict=True
    ):
        shrinks = (start - none) * start > 0
        torch.testing.assert_close(some, torch.where(shrinks, all_, none), atol=1e-6, rtol=0)


def test_normed_updates_are_as_large_as_others_and_even_from_row_to_row() -> None:
    network = tiny("shared heads")
    plain, even = copy.deepcopy(network), copy.deepcopy(network)
    train(plain, build("muon", plain, 0.02, decay=0.0), 1)
    train(even, build("muon", even, 0.02, decay=0.0, is_normed=True), 1)
    for (name, start, rows), (_, one, _), (_, other, _) in zip(
        stacked(network), stacked(plain), stacked(even), strict=True
    ):
        for before, a, b in zip(start.split(rows), one.split(rows), other.split(rows), strict=True):
            moved = (b - before).detach()
            torch.testing.assert_close(moved.norm(), (a - before).norm().detach(), rtol=1e-3, atol=0, msg=name)
            sizes = moved.norm(dim=1 if moved.shape[0] >= moved.shape[1] else 0)
            assert sizes.std() < 0.01 * sizes.mean()


@pytest.mark.parametrize("use", names(FOLDER))
def test_small_steps_are_not_lost_in_bfloat16(use: str) -> None:
    network = tiny().bfloat16()
    start = copy.deepcopy(network)
    optimiser = build(use, network, 1e-6)
    train(network, optimiser, 3)
    parameters = list(network.parameters())
    masters = [optimiser.state[it]["master"] for it in parameters]
    assert all(it.dtype == torch.float32 for it in masters)
    for master, before, after in zip(masters, start.parameters(), parameters, strict=True):
        assert (master != before.float()).any()
        assert torch.equal(master.bfloat16(), after)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("use", "settings"), [("adamw", {}), ("muon", {}), ("muon", {"is_normed": True, "coefficients": "polar_express"})]
)
def test_a_restored_state_goes_on_bit_for_bit(use: str, settings: dict[str, Any], dtype: torch.dtype) -> None:
    whole = tiny().to(dtype)
    optimiser = build(use, whole, **settings)
    train(whole, optimiser, 3)
    half = copy.deepcopy(whole)
    state = copy.deepcopy(optimiser.state_dict())
    assert all(type(it) is Tensor for held in state["state"].values() for it in held.values())
    train(whole, optimiser, 3)
    again = build(use, half, **settings)
    again.load_state_dict(state)
    train(half, again, 3)
    for (name, one), other in zip(whole.named_parameters(), half.parameters(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("use", names(FOLDER))
def test_the_loss_falls(use: str) -> None:
    network = tiny("shared heads")
    optimiser = build(use, network, find(FOLDER, use).Optimiser.RATE * (10 if use == "adamw" else 1))

    def loss() -> float:
        with torch.no_grad():
            logits = network(TOKENS[:, :-1]).flatten(0, 1)
            return float(nn.functional.cross_entropy(logits, TOKENS[:, 1:].flatten()))

    before = loss()
    for _ in range(40):
        graded(network)
        optimiser.step()
    assert loss() < 0.5 * before


def test_the_mean_of_weights_is_the_closed_form_and_leaves_no_trace() -> None:
    network = tiny()
    mean = Mean(network, 0.9)
    optimiser = build("adamw", network)
    wanted = {name: it.detach().clone() for name, it in network.named_parameters()}
    for step in range(4):
        graded(network, step)
        optimiser.step()
        mean.add(network)
        wanted = {name: 0.9 * wanted[name] + 0.1 * it.detach() for name, it in network.named_parameters()}
    own = {name: it.detach().clone() for name, it in network.named_parameters()}
    check: Callable[[Tensor, Tensor], None] = torch.testing.assert_close
    with mean.inside(network):
        for name, it in network.named_parameters():
            check(it.detach(), wanted[name])
    assert all(torch.equal(it, own[name]) for name, it in network.named_parameters())
    other = Mean(tiny(seed=5), 0.9)
    other.load(mean.weights)
    assert all(torch.equal(it, mean.weights[name]) for name, it in other.weights.items())
