"""Which parameters of a network are what: hidden matrices, the embedding, the head, and the rest."""

from typing import NamedTuple

from torch import Tensor, nn

from hanlin.model.blocks import Embedding, Stack


class Hidden(NamedTuple):
    """A matrix inside of a layer."""

    weight: nn.Parameter
    rows: tuple[int, ...]
    """Of the maps that lie stacked in it."""


class Parts(NamedTuple):
    """The parameters that learn, each in one list."""

    hidden: list[Hidden]
    """Matrices of the layers' own linear maps; none of an adapter."""
    embeddings: list[nn.Parameter]
    """Vectors of tokens and places; also the head, where the two are one."""
    heads: list[nn.Parameter]
    """Matrices outside of the layers."""
    added: list[nn.Parameter]
    """Matrices that adapters add."""
    rest: list[nn.Parameter]
    """Norms and biases."""


def parts(network: nn.Module) -> Parts:
    """Sort the parameters that learn; those of a module that is no decoder are heads and rest."""
    found = Parts([], [], [], [], [])
    seen: set[Tensor] = set()
    for path, module in network.named_modules():
        for name, weight in module.named_parameters(recurse=False):
            if not weight.requires_grad or weight in seen:
                continue
            seen.add(weight)
            if isinstance(module, Embedding | nn.Embedding):
                found.embeddings.append(weight)
            elif weight.ndim != 2:
                found.rest.append(weight)
            elif not _is_inside(path):
                found.heads.append(weight)
            elif isinstance(module, nn.Linear) and name == "weight":
                found.hidden.append(Hidden(weight, module.rows if isinstance(module, Stack) else (len(weight),)))
            else:
                found.added.append(weight)
    return found


def _is_inside(path: str) -> bool:
    return "layers" in path.split(".")
