"""A quantised base: as small as it says, as near as it says, and what llama.cpp would make of the same file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hanlin.core.errors import ConfigError
from hanlin.model.adapters.adapted import Adapted, adapted
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.quantised import Quantised
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.adapters.switch import switched_off
from hanlin.model.blocks import Linear
from hanlin.model.gguf.dequantise import dequantise
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.quantise import quantise
from hanlin.model.load import load
from hanlin.model.save import save_gguf
from model.adapters.additions import Tiny, seed

BITS = pytest.mark.parametrize(("kind", "form"), [("int8", TensorType.Q8_0), ("int4", TensorType.Q4_0)])


@BITS
@pytest.mark.parametrize("shape", [(7, 96), (64, 32), (1, 32)])
def test_weights_are_those_of_gguf_blocks(kind: str, form: TensorType, shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, generator=seed()) * torch.logspace(-3, 2, shape[0])[:, None]
    weight[0, :32] = 0
    expected = dequantise(form, quantise(form, weight.numpy()))
    got = Quantised(weight, kind).dense(torch.float32)  # pyright: ignore[reportArgumentType]
    assert np.array_equal(got.numpy(), expected)


@pytest.mark.parametrize(("kind", "steps", "bytes_per_weight"), [("int8", 254, 34 / 32), ("int4", 8, 18 / 32)])
def test_error_and_size_are_as_stated(kind: str, steps: int, bytes_per_weight: float) -> None:
    weight = torch.randn(48, 64, generator=seed())
    made = Quantised(weight, kind)  # pyright: ignore[reportArgumentType]
    error = (made.dense(torch.float32) - weight).view(-1, 32).abs().amax(1)
    largest = weight.view(-1, 32).abs().amax(1)
    assert (error <= largest * (1 / steps + 1 / 2048)).all()
    assert error.max() > 0.2 * largest.max() / steps
    held = sum(it.numel() * it.element_size() for it in made.buffers())
    assert held == weight.numel() * bytes_per_weight
    assert torch.equal(made.bfloat16().dense(torch.float32), Quantised(weight, kind).dense(torch.float32))  # pyright: ignore


@pytest.mark.parametrize(("kind", "worst"), [("int8", 0.02), ("int4", 0.25)])
def test_a_quantised_base_answers_nearly_as_the_whole_one_and_is_smaller(
    kind: str, worst: float, tiny: Tiny, tokens: Tensor
) -> None:
    network = tiny("llama").network
    maps = sum(part.weight.numel() for part in network.layers.modules() if isinstance(part, Linear))
    whole = size(network)
    with torch.no_grad():
        before = network(tokens)
        add(network, AdapterSettings.model_validate({"rank": 1, "base": kind, "targets": ("q",)}), seed())
        error = (network(tokens) - before).std() / before.std()
        assert 0 < error < worst
        with switched_off(network):
            assert torch.equal(network(tokens), network(tokens))
    assert len(adapted(network)) == 3 * 4, "maps without an addition are quantised, too"
    added = sum(weight.numel() * 4 for weight in network.parameters() if weight.requires_grad)
    share = {"int8": 34 / 32, "int4": 18 / 32}[kind]
    assert size(network) == whole - maps * 4 + int(maps * share) + added


def size(network: nn.Module) -> int:
    held = {it.data_ptr(): it.numel() * it.element_size() for it in (*network.parameters(), *network.buffers())}
    # norms hold a constant for a faster formula; it is no weight
    return sum(held.values())


@pytest.mark.parametrize("use", ["lora", "dora"])
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_gradients_are_those_of_the_same_weights_kept_dense(kind: str, use: str) -> None:
    from hanlin.model.adapters.adapted import Block

    base = Linear(64, 32, bias=True)
    twin = Linear(64, 32, bias=True)
    with torch.no_grad():
        twin.weight.copy_(Quantised(base.weight, kind).dense(torch.float32))  # pyright: ignore[reportArgumentType]
        twin.bias.copy_(base.bias)
    made = []
    for layer, bits in ((base, kind), (twin, None)):
        part = Adapted(layer, [Block("x", "q", 0, 16, 64, 4, 0.5)], seed(), is_dora=use == "dora", kind=bits)  # pyright: ignore
        x = torch.randn(5, 64, generator=seed(2)).requires_grad_()
        with torch.no_grad():
            part.get_parameter("b0").normal_(generator=seed(3))
        out = part(x)
        out.square().sum().backward()
        part.is_off = True
        off = torch.autograd.grad(part(x).square().sum(), x)[0]
        grads = [weight.grad for weight in part.parameters() if weight.requires_grad]
        made.append([out.detach(), x.grad, off, *grads])
    for mine, other in zip(*made, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_training_on_a_quantised_base_lowers_the_loss_and_leaves_it_as_it_is(
    kind: str, tiny: Tiny, tokens: Tensor
) -> None:
    network = tiny("qwen3").network.train()
    add(network, AdapterSettings.model_validate({"rank": 4, "base": kind}), seed())
    frozen = {name: it.clone() for name, it in network.named_buffers()}
    optimiser = torch.optim.AdamW([it for it in network.parameters() if it.requires_grad], lr=0.01)
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
    assert all(torch.equal(it, frozen[name]) for name, it in network.named_buffers())


@BITS
def test_a_base_from_a_file_of_the_same_blocks_is_not_rounded_again(
    kind: str, form: TensorType, tiny: Tiny, tokens: Tensor, tmp_path: Path
) -> None:
    save_gguf(tiny("llama"), tmp_path / "tiny.gguf", form.name)  # pyright: ignore[reportArgumentType]
    network = load(tmp_path / "tiny.gguf").network
    with torch.no_grad():
        before = network(tokens)
        add(network, AdapterSettings.model_validate({"rank": 2, "base": kind}), seed())
        assert torch.equal(network(tokens), before)


def test_rows_that_blocks_cannot_fill_are_refused_and_nothing_changes(tiny: Tiny) -> None:
    network = tiny("llama").network
    network.layers[1].mlp.down = Linear(65, 32, bias=False)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ConfigError, match=r"blocks of 32 weights; layers\.1\.mlp\.down has rows of 65"):
        add(network, AdapterSettings(base="int4"), seed())
    assert not adapted(network)
    assert all(weight.requires_grad for weight in network.parameters())
