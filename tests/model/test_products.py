"""Maps that multiply by bytes while they learn: near the plain ones, exact where it is promised, plain elsewhere."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from hanlin import kernels
from hanlin.core.plugins import find, names
from hanlin.model import products
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.decoder import Decoder
from hanlin.model.opened import FAMILIES
from hanlin.model.products import multiply_bytes

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
TOKENS = torch.randint(0, 97, (3, 24), generator=torch.Generator().manual_seed(0))


def network(family: str, case: str) -> Decoder:
    module = find(FAMILIES, family)
    torch.manual_seed(0)
    made = Decoder(module.parts(module.TINY[case].model_copy(update={"vocabulary": 97})))
    for weight in made.parameters():
        weight.data.add_(torch.randn_like(weight) * 0.05)
    return made


def gradients(made: Decoder) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of next tokens, and what it asks of each weight that learns."""
    logits = made(TOKENS)[:, :-1]
    loss = F.cross_entropy(logits.flatten(0, 1), TOKENS[:, 1:].flatten())
    loss.backward()
    return float(loss.detach()), {name: it.grad for name, it in made.named_parameters() if it.grad is not None}


def alike(one: torch.Tensor, other: torch.Tensor) -> float:
    """Cosine."""
    return float(F.cosine_similarity(one.flatten(), other.flatten(), 0))


@pytest.mark.parametrize("family", names(FAMILIES))
def test_the_loss_and_all_gradients_are_near_those_of_floats(family: str) -> None:
    case = next(iter(find(FAMILIES, family).TINY))
    plain, bytes_ = network(family, case), network(family, case)
    assert multiply_bytes(bytes_) > 0
    (loss, want), (near, have) = gradients(plain), gradients(bytes_)
    assert near == pytest.approx(loss, rel=0.01)
    assert near != loss, "the bytes were not used"
    assert have.keys() == want.keys()
    whole = alike(*(torch.cat([it[name].flatten() for name in want]) for it in (have, want)))
    assert whole > 0.995


@pytest.mark.parametrize("base", ["as_is", "int8", "int4"])
def test_an_adapter_learns_on_a_base_that_multiplies_bytes(base: Any) -> None:
    def made() -> Decoder:
        one = network("llama", "shared heads")
        add(one, AdapterSettings(base=base), torch.Generator().manual_seed(1))
        for name, weight in one.named_parameters():
            if weight.requires_grad and ".b" in name:
                weight.data.normal_(std=0.05, generator=torch.Generator().manual_seed(2))
        return one

    plain, bytes_ = made(), made()
    multiply_bytes(bytes_)
    (_, want), (_, have) = gradients(plain), gradients(bytes_)
    assert have.keys() == want.keys()
    assert alike(*(torch.cat([it[name].flatten() for name in want]) for it in (have, want))) > 0.99


def test_without_gradients_nothing_changes_by_a_bit() -> None:
    plain, bytes_ = network("llama", "shared heads"), network("llama", "shared heads")
    multiply_bytes(bytes_)
    with torch.no_grad():
        assert torch.equal(plain(TOKENS), bytes_(TOKENS))


def test_a_weight_that_moved_is_packed_again() -> None:
    bytes_ = network("llama", "shared heads")
    multiply_bytes(bytes_)
    before, _ = gradients(bytes_)
    with torch.no_grad():
        for part in bytes_.layers.parameters():
            part.mul_(1.5)
        plain = F.cross_entropy(bytes_(TOKENS)[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
    after, _ = gradients(bytes_)
    assert after == pytest.approx(float(plain), rel=0.01)
    assert abs(after - before) > 10 * abs(after - float(plain))


@pytest.mark.parametrize(("positions", "outputs", "inputs"), [(130, 40, 24), (257, 24, 40), (512, 33, 17)])
def test_gradients_of_weights_are_near_whichever_side_is_narrow(positions: int, outputs: int, inputs: int) -> None:
    draw = torch.Generator().manual_seed(3)
    pull, x = torch.randn(positions, outputs, generator=draw), torch.randn(positions, inputs, generator=draw)
    x[:, 3] *= 200  # a channel far out, as trained models have
    x = x[:, :inputs]
    weight = torch.nn.Parameter(torch.zeros(outputs, inputs))
    want = pull.double().t() @ x.double()
    assert torch.equal(products.of_weight(pull, x, weight), pull.t() @ x)
    weight.packs = products.Packs()  # pyright: ignore[reportAttributeAccessIssue]
    near = products.of_weight(pull, x, weight)
    assert near.shape == want.shape
    for column in range(inputs):
        assert alike(near[:, column].double(), want[:, column]) > 0.999
    few = products.of_weight(pull[:100], x[:100], weight)
    assert torch.equal(few, pull[:100].t() @ x[:100]), "of few positions in floats"


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (16, 16), (17, 65), (200, 3), (5, 1000)])
def test_turned_is_the_transpose_of_rows_that_lie_apart_too(rows: int, columns: int) -> None:
    whole = torch.randn(rows, columns + 7)
    assert torch.equal(kernels.turned(whole[:, 3 : columns + 3]), whole[:, 3 : columns + 3].t())
    assert (kernels.turned(whole.numpy()) == whole.numpy().T).all()
