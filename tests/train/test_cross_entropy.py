"""The loss without logits equals the plain one, in value, gradients and all heads, and holds one chunk at a time."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from hanlin import kernels
from hanlin.core.plugins import find
from hanlin.model.decoder import Decoder
from hanlin.model.products import multiply_bytes
from hanlin.train import cross_entropy
from hanlin.train.cross_entropy import logprobs, summed

HEADS = [("llama", "shared heads"), ("llama", "own head"), ("gemma3", "logit cap"), ("gemma3", "own head")]
each_head = pytest.mark.parametrize(("family", "case"), HEADS, ids=lambda it: it.replace(" ", "-"))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK", 97 * 16)


def tiny(family: str, case: str) -> Decoder:
    module = find("hanlin.model.families", family)
    torch.manual_seed(0)
    network = Decoder(module.parts(module.TINY[case]))
    head = network.embed if network.unembed is None else network.unembed
    nn.init.normal_(head.weight)
    return network


def halved(head: nn.Module, given: object, out: Tensor) -> Tensor:
    return out * 0.5


def work(rows: int = 4, length: int = 15) -> tuple[Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(1)
    x = torch.randn(rows, length, 32, generator=chance)
    targets = torch.randint(0, 97, (rows, length), generator=chance)
    weights = torch.randn(rows, length, generator=chance) * (torch.rand(rows, length, generator=chance) < 0.8)
    return x, targets, weights


def plain(network: Decoder, x: Tensor, targets: Tensor) -> Tensor:
    logits = network.head(x).double()
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)


def gradients(network: Decoder, x: Tensor, loss: Tensor) -> list[Tensor]:
    head = network.embed if network.unembed is None else network.unembed
    wanted = [it for it in (x, head.weight) if it.requires_grad]
    return list(torch.autograd.grad(loss, wanted))


@each_head
@pytest.mark.parametrize("is_all_graded", [True, False])
def test_the_sum_and_its_gradients_are_the_plain_ones(family: str, case: str, is_all_graded: bool) -> None:
    network = tiny(family, case)
    x, targets, weights = work()
    weights = weights + 3 if is_all_graded else weights
    x.requires_grad_()
    wanted = (plain(network, x, targets) * weights).sum()
    got = summed(network, x, targets, weights)
    torch.testing.assert_close(got, wanted.float(), rtol=1e-6, atol=1e-5)
    for one, other in zip(gradients(network, x, got / 7), gradients(network, x, wanted / 7), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(summed(network, x, targets, weights), wanted.float(), rtol=1e-6, atol=1e-5)


@each_head
@pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
def test_a_head_in_bytes_is_near_frozen_or_learning(family: str, case: str) -> None:
    network = tiny(family, case)
    x, targets, weights = work()
    x = (x * 0.1).requires_grad_()  # no scores far beyond a cap, where a slope of nearly 0 magnifies any rounding
    matrix = network.embed.weight if network.unembed is None else network.unembed.weight
    want = plain(network, x, targets)
    exact = torch.autograd.grad((want * weights).sum(), (x, matrix))
    want = want.detach()
    multiply_bytes(network)
    learning = torch.autograd.grad(summed(network, x, targets, weights), (x, matrix))
    network.requires_grad_(False)
    got = summed(network, x, targets, weights)
    (frozen,) = torch.autograd.grad(got, x)
    assert torch.equal(frozen, learning[0])
    assert abs(float(got.detach()) - float((want * weights).sum())) < 0.01 * float((want * weights.abs()).sum())
    for near, there in zip(learning, exact, strict=True):
        assert 0 < float((near - there).norm()) < 0.02 * float(there.norm())
    with torch.no_grad():
        torch.testing.assert_close(
            summed(network, x, targets, weights), (want * weights).sum().float(), rtol=1e-6, atol=1e-5
        )


def test_probabilities_too_small_for_a_byte_still_pull() -> None:
    network = tiny("llama", "own head")
    network.requires_grad_(False)
    if kernels.missing() is not None:
        pytest.skip(f"no native kernels: {kernels.missing()}")
    multiply_bytes(network)
    x, targets, weights = work()
    x = (x * 0.02).requires_grad_()  # all of 97 tokens near 1 / 97; the target's pull is a hundred times as large
    (exact,) = torch.autograd.grad((plain(network, x, targets) * weights).sum(), x)
    (near,) = torch.autograd.grad(summed(network, x, targets, weights), x)
    assert float((near - exact).norm()) < 0.01 * float(exact.norm())


@each_head
def test_logprobs_of_rows_and_their_gradients_are_the_plain_ones(family: str, case: str) -> None:
    network = tiny(family, case)
    x, targets, weights = work()
    weights[2] = 0
    x.requires_grad_()
    wanted = -(plain(network, x, targets) * weights).sum(1)
    got = logprobs(network, x, targets, weights)
    assert got[2] == 0
    torch.testing.assert_close(got, wanted.float(), rtol=1e-6, atol=1e-5)
    uneven = torch.tensor([0.3, -2.0, 5.0, 1.0])
    for one, other in zip(
        gradients(network, x, (got * uneven).sum()), gradients(network, x, (wanted * uneven).sum()), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(logprobs(network, x, targets, weights), wanted.float(), rtol=1e-6, atol=1e-5)


def test_a_frozen_head_gets_no_gradient() -> None:
    network = tiny("llama", "own head")
    assert network.unembed is not None
    network.unembed.weight.requires_grad = False
    x, targets, weights = work()
    x.requires_grad_()
    wanted = gradients(network, x, (plain(network, x, targets) * weights).sum())
    for loss in (summed(network, x, targets, weights), -logprobs(network, x, targets, weights).sum()):
        torch.testing.assert_close(gradients(network, x, loss), wanted, atol=1e-6, rtol=1e-5)


def test_a_head_that_is_more_than_a_matrix_is_called() -> None:
    network = tiny("llama", "own head")
    assert network.unembed is not None
    network.unembed.register_forward_hook(halved)
    x, targets, weights = work()
    x.requires_grad_()
    wanted = (plain(network, x, targets) * weights).sum()
    got = summed(network, x, targets, weights)
    torch.testing.assert_close(got, wanted.float(), rtol=1e-6, atol=1e-5)
    for one, other in zip(gradients(network, x, got), gradients(network, x, wanted), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_bfloat16_is_near_float32() -> None:
    network = tiny("llama", "own head")
    x, targets, weights = work()
    x.requires_grad_()
    loss = summed(network, x, targets, weights.abs())
    wanted = gradients(network, x, loss)
    network.bfloat16()
    near = x.detach().bfloat16().requires_grad_()
    got = summed(network, near, targets, weights.abs())
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, loss, rtol=0.02, atol=0.0)
    for one, other in zip(gradients(network, near, got), wanted, strict=True):
        assert one.dtype == torch.bfloat16
        assert (one.float() - other).norm() < 0.02 * other.norm()


def test_hopeless_and_certain_targets_have_finite_losses() -> None:
    network = tiny("llama", "own head")
    assert network.unembed is not None
    with torch.no_grad():
        network.unembed.weight.zero_()
        network.unembed.weight[3] = 1000.0
    x = torch.ones(1, 2, 32, requires_grad=True)
    loss = summed(network, x, torch.tensor([[3, 4]]), torch.ones(1, 2))
    torch.testing.assert_close(loss, torch.tensor(32000.0))
    assert all(it.isfinite().all() for it in gradients(network, x, loss))


@pytest.mark.parametrize("grade", [summed, lambda *given: logprobs(*given).sum()], ids=["summed", "logprobs"])
def test_nothing_graded_is_zero_with_zero_gradients(grade: Any) -> None:
    network = tiny("llama", "own head")
    x, targets, weights = work()
    x.requires_grad_()
    loss: Tensor = grade(network, x, targets, weights * 0)
    assert float(loss.detach()) == 0
    loss.backward()
    assert x.grad is None or not x.grad.any()


class Largest(TorchDispatchMode):
    """The largest tensor that any kernel gives back."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for it in out if isinstance(out, tuple | list) else (out,):
            if isinstance(it, Tensor):
                self.numbers = max(self.numbers, it.numel())
        return out


@pytest.mark.parametrize("grade", [summed, lambda *given: logprobs(*given).sum()], ids=["summed", "logprobs"])
def test_only_one_chunk_of_logits_is_ever_held(grade: Any) -> None:
    network = tiny("gemma3", "logit cap")
    x, targets, weights = work(8, 100)
    x.requires_grad_()
    with Largest() as seen:
        grade(network, x, targets, weights + 3).backward()
    everything = 800 * 97
    assert seen.numbers == 800 * 32 < everything  # the states themselves: a chunk's logits are smaller
