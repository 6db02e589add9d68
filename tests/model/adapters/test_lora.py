"""Additions answer and learn as PEFT's do, leave everything else alone, and can be switched off."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hanlin.core.errors import ConfigError, RefusedError
from hanlin.core.plugins import names
from hanlin.model.adapters.adapted import adapted
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.adapters.switch import switched_off
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.opened import FAMILIES
from model.adapters.additions import KINDS, OLD, Tiny, seed, stir, wrapped

pytestmark = OLD


def copied(network: Decoder, model: nn.Module) -> dict[str, tuple[Tensor, Tensor, slice]]:
    """Our additions in PEFT's places; by name our tensor, PEFT's, and which rows of ours that is."""
    pairs = {}
    for module in adapted(network).values():
        begin = place = 0
        for index, block in enumerate(module.blocks):
            layer = model.get_submodule(f"base_model.model.{block.name}")
            halves = {"lora_A": module.a[begin : begin + block.rank], "lora_B": module.get_parameter(f"b{index}")}
            for half, ours in halves.items():
                layer.get_submodule(half)["default"].weight.data.copy_(ours)  # pyright: ignore
            rows = slice(place, place + block.end - block.begin)
            grad_of = {"lora_A": (module.a, slice(begin, begin + block.rank))}
            grad_of["lora_B"] = (module.get_parameter(f"b{index}"), slice(None))
            if module.is_dora:
                layer.lora_magnitude_vector["default"].weight.data.copy_(module.magnitude[rows])  # pyright: ignore
                grad_of["lora_magnitude_vector"] = (module.magnitude, rows)
            for half, (ours, part) in grad_of.items():
                theirs = layer.get_submodule(half)["default"].weight  # pyright: ignore
                pairs[f"{block.name}.{half}"] = (ours, theirs, part)
            begin, place = begin + block.rank, rows.stop
    return pairs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_answers_and_gradients_equal_those_of_peft(
    family: str, kind: str, tiny: Tiny, theirs: Callable[[Checkpoint], nn.Module], tokens: Tensor
) -> None:
    ours = tiny(family)
    model = wrapped(theirs(ours), KINDS[kind])
    add(ours.network, KINDS[kind], seed())
    stir(ours.network)
    pairs = copied(ours.network, model)
    assert len(pairs) == sum(weight.requires_grad for weight in model.parameters())

    expected = model(tokens).logits
    got = ours.network(tokens)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    with switched_off(ours.network):
        assert (ours.network(tokens) - got).abs().max() > 0.1, "additions that change nothing prove nothing"
    for logits in (got, expected):
        (logits.log_softmax(-1)[..., 5] * torch.linspace(-1, 1, 24)).sum().backward()
    for name, (mine, other, part) in pairs.items():
        assert mine.grad is not None and other.grad is not None, name
        torch.testing.assert_close(
            mine.grad[part], other.grad, atol=2e-5, rtol=1e-3, msg=lambda it, name=name: name + it
        )


def test_first_weights_are_drawn_as_peft_draws_them(tiny: Tiny) -> None:
    network = tiny("llama").network
    add(network, AdapterSettings(rank=64), seed())
    for module in adapted(network).values():
        bound = module.in_features**-0.5  # Kaiming's uniform with a = √5
        assert 0.97 * bound < module.a.abs().max() <= bound
        assert abs(module.a.std() / (bound / 3**0.5) - 1) < 0.05
        assert all(not b.any() for _, b in module.halves())
    again = tiny("llama").network
    add(again, AdapterSettings(rank=64), seed())
    assert all(map(torch.equal, network.parameters(), again.parameters()))


@pytest.mark.parametrize("use", ["lora", "dora"])
@pytest.mark.parametrize("family", names(FAMILIES))
def test_switched_off_it_is_exactly_the_model_it_was(family: str, use: str, tiny: Tiny, tokens: Tensor) -> None:
    network = tiny(family).network
    with torch.no_grad():
        before = network(tokens)
        add(network, AdapterSettings.model_validate({"use": use, "rank": 4}), seed())
        torch.testing.assert_close(network(tokens), before, atol=1e-5, rtol=0)
        stir(network)
        changed = network(tokens)
        assert (changed - before).abs().max() > 0.01
        with switched_off(network):
            assert torch.equal(network(tokens), before)
            with switched_off(network):
                pass
            assert torch.equal(network(tokens), before)
        assert torch.equal(network(tokens), changed)


@pytest.mark.parametrize("family", names(FAMILIES))
def test_only_the_additions_learn_and_all_of_them_do(family: str, tiny: Tiny, tokens: Tensor) -> None:
    network = tiny(family).network.train()
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    add(network, AdapterSettings(use="dora", rank=4, dropout=0.1), seed())
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=0.01)
    losses = []
    for _ in range(30):
        logits = network(tokens[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
    now = dict(network.named_parameters())
    assert all(torch.equal(now[name], weight) for name, weight in before.items())
    assert all(now[name].grad is None for name in before)
    assert all(weight.grad is not None and weight.grad.any() for weight in learning)


def test_dropout_leaves_out_inputs_of_the_addition_alone(tiny: Tiny, tokens: Tensor) -> None:
    network = tiny("llama").network.train()
    expected = network(tokens)
    add(network, AdapterSettings(rank=4, dropout=0.5), seed())
    torch.testing.assert_close(network(tokens), expected, atol=0, rtol=0)
    stir(network)
    assert not torch.equal(network(tokens), network(tokens))
    network.eval()
    assert torch.equal(network(tokens), network(tokens))


def test_gradients_through_dropout_are_those_of_the_plain_formula() -> None:
    from hanlin.model.adapters.adapted import Adapted, Block
    from hanlin.model.blocks import Linear

    base = Linear(8, 6).double()
    module = Adapted(base, [Block("x", "q", 1, 5, 8, 2, 0.7)], seed(), dropout=0.4).train().double()
    stir(module)
    x = torch.randn(3, 8, dtype=torch.double, requires_grad=True)

    def ours(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        torch.manual_seed(0)
        return torch.func.functional_call(module, {"a": a, "b0": b}, (x,))

    def plain(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        torch.manual_seed(0)
        more = nn.functional.dropout(x, 0.4) @ a.mT @ b.mT * 0.7
        return base(x) + nn.functional.pad(more, (1, 1))

    given = (x, module.a, module.get_parameter("b0"))
    torch.testing.assert_close(ours(*given), plain(*given))
    side = torch.randn(3, 6, dtype=torch.double)
    for mine, other in zip(
        *(torch.autograd.grad((it(*given) * side).sum(), given) for it in (ours, plain)), strict=True
    ):
        torch.testing.assert_close(mine, other)


def test_additions_stay_float32_on_a_bfloat16_base(tiny: Tiny, tokens: Tensor) -> None:
    wide, narrow = tiny("qwen3").network, tiny("qwen3").network.bfloat16()
    for network in (wide, narrow):
        add(network, AdapterSettings(use="dora", rank=4), seed())
        with torch.no_grad():
            for module in adapted(network).values():
                for _, b in module.halves():
                    b.copy_(torch.randn(b.shape, generator=seed(3)) * 0.1)
        network(tokens).float().logsumexp(-1).sum().backward()
    for (name, mine), other in zip(narrow.named_parameters(), wide.parameters(), strict=True):
        if mine.requires_grad:
            assert mine.dtype == torch.float32 == mine.grad.dtype, name  # pyright: ignore[reportOptionalMemberAccess]
            similar = nn.functional.cosine_similarity(mine.grad.flatten(), other.grad.flatten(), 0)  # pyright: ignore
            assert similar > 0.98, (name, similar)


def test_every_expert_gets_an_addition_and_the_router_only_when_asked(tiny: Tiny) -> None:
    network = tiny("qwen3_moe").network
    add(network, AdapterSettings(rank=2, targets=("gate", "up", "down")), seed())
    assert len(adapted(network)) == 3 * 4 * 2
    network = tiny("qwen3_moe").network
    add(network, AdapterSettings(rank=2, targets=("router",)), seed())
    assert sorted(adapted(network)) == [f"layers.{layer}.mlp.router" for layer in range(3)]


def test_wrong_targets_are_refused_by_name(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match="'upp' is no map") as caught:
        add(tiny("llama").network, AdapterSettings(targets=("upp",)), seed())
    assert caught.value.fix == "did you mean 'up'?"
    with pytest.raises(ConfigError, match=r"'q' alone is no map here, transformer\.h\.0\.attn\.c_attn is q k v in one"):
        add(tiny("gpt2").network, AdapterSettings(targets=("q", "up")), seed())
    with pytest.raises(ConfigError, match="gate: this model has no such map"):
        add(tiny("gpt2").network, AdapterSettings(targets=("gate",)), seed())


def test_a_second_adapter_is_refused_and_nothing_changes(tiny: Tiny) -> None:
    network = tiny("llama").network
    add(network, AdapterSettings(rank=2), seed())
    before = [*network.named_parameters()]
    with pytest.raises(RefusedError, match="has an adapter already"):
        add(network, AdapterSettings(rank=2), seed())
    assert [name for name, _ in before] == [name for name, _ in network.named_parameters()]
