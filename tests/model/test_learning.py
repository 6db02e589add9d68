"""The pass of a model that learns: its gradients are those of the plain pass and of Transformers, it keeps less."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from hanlin.core.plugins import find, names
from hanlin.model import learning
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.load import load
from hanlin.model.save import save_folder

FAMILIES = "hanlin.model.families"
CASES = [(family, case) for family in names(FAMILIES) for case in find(FAMILIES, family).TINY]
each_case = pytest.mark.parametrize(("family", "case"), CASES, ids=lambda it: it.replace(" ", "-"))
TOKENS = torch.randint(0, 97, (2, 23), generator=torch.Generator().manual_seed(0))
DOCUMENTS = torch.tensor([[0] * 7 + [1] * 16, [0] * 20 + [1] * 3])


def tiny(family: str, case: str) -> Checkpoint:
    module = find(FAMILIES, family)
    torch.manual_seed(0)
    network = Decoder(module.parts(module.TINY[case]))
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=chance) * 0.2)
    return Checkpoint(network=network, config=network.config, family=family, tokenizer=None)


def gradients(network: nn.Module, logits: Tensor) -> list[Tensor]:
    network.zero_grad()
    (logits.logsumexp(-1) + (logits * torch.linspace(0, 1, 97)).mean(-1)).sum().backward()
    return [logits.detach(), *(it.grad.clone() for it in network.parameters() if it.grad is not None)]


def close(one: list[Tensor], other: list[Tensor]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5 * float(b.abs().max()) + 1e-6, rtol=0)


@each_case
@pytest.mark.parametrize("documents", [None, DOCUMENTS], ids=["whole", "packed"])
def test_gradients_are_those_of_the_plain_pass(
    family: str, case: str, documents: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tiny(family, case).network
    monkeypatch.setattr(learning, "BLOCK", 7)
    fast = gradients(network, network(TOKENS, None, documents))
    monkeypatch.setattr(learning, "is_learning", lambda *_: False)
    close(fast, gradients(network, network(TOKENS, None, documents)))


@pytest.mark.parametrize(
    ("family", "case"),
    [
        ("llama", "shared heads"),
        ("llama", "qwen2"),
        ("gemma3", "alternating"),
        ("qwen3", "own head"),
        ("gpt2", "own head"),
    ],
)
def test_gradients_are_those_of_transformers(family: str, case: str, tmp_path: Path) -> None:
    ours = tiny(family, case)
    save_folder(ours, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).train(mode=False)
    loss = F.cross_entropy(theirs(TOKENS[:, :-1]).logits.flatten(0, 1), TOKENS[:, 1:].flatten())
    loss.backward()
    F.cross_entropy(ours.network(TOKENS[:, :-1]).flatten(0, 1), TOKENS[:, 1:].flatten()).backward()
    # As if each gradient were a weight: written by us, read by us, against theirs written by them.
    for network in (ours.network, theirs):
        for weight in network.parameters():
            assert weight.grad is not None
            weight.data = weight.grad + 1  # GGUF and folders may store norms shifted; none is lost by a constant
    theirs.save_pretrained(tmp_path / "gradients")
    back = load(tmp_path / "gradients").network
    for (name, got), wanted in zip(ours.network.named_parameters(), back.parameters(), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_parts_that_are_frozen_change_nothing_for_the_others(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny(family, "shared heads").network
    for name, weight in network.named_parameters():
        weight.requires_grad = "layers.1.mlp.down" in name or "layers.2.attention.qkv" in name or "0.mlp_norm" in name
    fast = gradients(network, network(TOKENS))
    assert len(fast) == 4
    monkeypatch.setattr(learning, "is_learning", lambda *_: False)
    close(fast, gradients(network, network(TOKENS)))


@pytest.mark.parametrize("act", ["silu", "gelu", "gelu_tanh", "relu"])
def test_every_activation_of_a_gated_part_has_its_gradient(act: learning.Act) -> None:
    gate_up = torch.randn(5, 12, dtype=torch.float32, requires_grad=True)
    gate, up = gate_up.chunk(2, -1)
    bent: dict[str, Callable[[Tensor], Tensor]] = {"silu": F.silu, "relu": F.relu, "gelu": F.gelu}
    wanted = (bent[act](gate) if act in bent else F.gelu(gate, approximate="tanh")) * up
    got = learning.gated(gate_up, act)
    torch.testing.assert_close(got, wanted)
    pull = torch.randn(5, 6)
    torch.testing.assert_close(*(torch.autograd.grad(it, gate_up, pull)[0] for it in (got, wanted)))


def kept_bytes(network: Decoder) -> int:
    """Bytes of different memory that a pass keeps for the way back, weights left out."""
    own = {it.untyped_storage().data_ptr() for it in network.parameters()}
    seen: dict[int, int] = {}

    def packed(it: Tensor) -> Tensor:
        storage = it.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return it

    with torch.autograd.graph.saved_tensors_hooks(packed, lambda it: it):
        out = network.trunk(TOKENS)
    del out
    return sum(seen.values())


def test_half_as_much_is_kept_for_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny("llama", "shared heads").network
    less = kept_bytes(network)
    monkeypatch.setattr(learning, "is_learning", lambda *_: False)
    assert less < 0.55 * kept_bytes(network)


def test_bfloat16_learns_as_float32_does() -> None:
    network = tiny("llama", "shared heads").network
    wanted = gradients(network, network(TOKENS))
    network.bfloat16()
    for got, one in zip(gradients(network, network(TOKENS).float()), wanted, strict=True):
        assert (got.float() - one).norm() < 0.05 * one.norm() + 1e-3
