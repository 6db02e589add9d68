"""Four bits with as little harm as can be: a network and texts in, its matrices in Q4_1 blocks out.

Rounding to the nearest errs in each weight by itself. Here the columns of a matrix are rounded one after another, and
what a column errs by is made good in those that follow, as far as the texts' activations tell them apart; the scale and
the minimum of 32 weights are those of a few with the least squared error, weighed the same way. In one pass over the
texts every matrix is rounded just before it is first used, so that it mends what the matrices before it have done.

Sources: GPTQ, https://arxiv.org/abs/2210.17323; `make_qkx2_quants` in ggml's `ggml-quants.c` searches scales.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from hanlin.core.errors import WeightsError
from hanlin.model.blocks import Linear
from hanlin.model.decoder import Decoder
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.quantise import quantise

GROUP, MOST = 32, 15
DAMPING = 0.01
"""Share of the mean activation added to all, so that channels which the texts hardly use do not run wild."""
DOUBT = 0.2
"""Share of what the texts say of two channels together that is not believed: some thousand tokens know little of it."""
SHRINKS = (1.0, 1.05, 0.95, 0.9, 0.85, 0.8)
"""How far a group's least and greatest weight are drawn in before the codes are laid between them."""
PRECISE = "router"


class Groups(NamedTuple):
    """weight = scale × code + minimum, for a group of each output."""

    scale: Float[Tensor, " F"]
    minimum: Float[Tensor, " F"]

    def codes(self, weights: Float[Tensor, "F N"]) -> Float[Tensor, "F N"]:
        """The nearest, 0 … 15."""
        inverse = torch.where(self.scale == 0, 0, 1 / self.scale)
        return ((weights - self.minimum[:, None]) * inverse[:, None]).round_().clamp_(0, MOST)

    def weights(self, codes: Float[Tensor, "F N"]) -> Float[Tensor, "F N"]:
        """Back again."""
        return codes * self.scale[:, None] + self.minimum[:, None]


def calibrated(network: Decoder, rows: Int[Tensor, "B T"]) -> dict[str, UInt8[np.ndarray, "F bytes"]]:
    """Round every matrix of the layers in place; its blocks by the name of our parameter.

    Matrices whose width is no multiple of 32, and routers, are left as they are; experts that no token of the texts
    comes to are rounded without regard to any. Embedding and head are not looked at.

    Args:
        rows: texts that the model will meet, as tokens; some thousand are enough.

    Raises:
        WeightsError: the network's activations are no numbers.
    """
    found = matrices(network)
    names = {module: name for name, module in found.items()}
    made: dict[str, np.ndarray] = {}

    def before(module: Any, given: tuple[Tensor, ...]) -> None:
        x = given[0].reshape(-1, given[0].shape[-1])
        if names[module] not in made and len(x):
            made[names[module]] = _round(module.weight.data, x.T @ x / len(x), names[module])

    hooks = [module.register_forward_pre_hook(before) for module in names]
    try:
        with torch.no_grad():
            network.trunk(rows)
    finally:
        for hook in hooks:
            hook.remove()
    for name, module in found.items():
        if name not in made:
            made[name] = _round(module.weight.data, torch.eye(module.in_features), name)
    return made


def nearest(network: Decoder) -> dict[str, UInt8[np.ndarray, "F bytes"]]:
    """The same matrices, each weight rounded to the nearest; the network stays as it is."""
    weights = {name: module.weight.detach().float().numpy() for name, module in matrices(network).items()}
    return {name: quantise(TensorType.Q4_1, weight) for name, weight in weights.items()}


def matrices(network: Decoder) -> dict[str, Linear]:
    """What can be four bits, by the name of its weights."""
    return {
        f"layers.{name}.weight": module
        for name, module in network.layers.named_modules()
        if isinstance(module, Linear) and module.in_features % GROUP == 0 and PRECISE not in name
    }


def _round(weight: Float[Tensor, "F D"], moments: Float[Tensor, "D D"], name: str) -> UInt8[np.ndarray, "F bytes"]:
    """Round a matrix in place, by the second moments of what it is multiplied with."""
    follow = _follow(moments, name)
    left, blocks = weight.clone(), []
    for begin in range(0, weight.shape[1], GROUP):
        part, inner = left[:, begin : begin + GROUP].clone(), follow[begin : begin + GROUP]
        own = inner[:, begin : begin + GROUP]
        groups = best_groups(part, own.diagonal() ** -2)
        codes, errors = torch.empty_like(part), torch.empty_like(part)
        for at in range(GROUP):
            column = part[:, at : at + 1]
            codes[:, at : at + 1] = groups.codes(column)
            errors[:, at : at + 1] = (column - groups.weights(codes[:, at : at + 1])) / own[at, at]
            part[:, at + 1 :] -= errors[:, at : at + 1] * own[at, at + 1 :]
        left[:, begin + GROUP :] -= errors @ inner[:, begin + GROUP :]
        weight[:, begin : begin + GROUP] = groups.weights(codes)
        blocks.append(_blocks(groups, codes))
    return np.concatenate(blocks, 1)


def _follow(moments: Float[Tensor, "D D"], name: str) -> Float[Tensor, "D D"]:
    """Row i: what the columns after i are to take over of an error in column i; the factor of the inverse moments."""
    moments = moments.double()
    own = moments.diagonal()
    own[own == 0] = 1
    moments = torch.lerp(moments, own.diag(), DOUBT)
    own = moments.diagonal()
    own += DAMPING * own.mean()
    factor, failed = torch.linalg.cholesky_ex(moments)
    if failed or not bool(factor.isfinite().all()):
        raise WeightsError(f"what goes into {name} is no numbers, or too large", "the weights are damaged")
    return torch.linalg.cholesky(torch.cholesky_inverse(factor), upper=True).float()


def best_groups(weights: Float[Tensor, "F N"], matter: Float[Tensor, " N"]) -> Groups:
    """Scale and minimum for each row of weights: of a few the pair with the least squared error.

    Args:
        matter: how much each column's error counts.
    """
    low, high = weights.amin(1), weights.amax(1)
    share = matter / matter.sum()
    mean = weights @ share
    best, least = None, None
    for shrink in SHRINKS:
        codes = Groups(shrink * (high - low) / MOST, shrink * low).codes(weights)
        middle = codes @ share
        spread = ((codes - middle[:, None]) ** 2) @ share
        along = ((codes - middle[:, None]) * (weights - mean[:, None])) @ share
        scale = torch.where(spread > 0, along / spread, 0).half()
        found = Groups(scale.float(), (mean - scale.float() * middle).half().float())
        error = ((weights - found.weights(found.codes(weights))) ** 2) @ share
        if best is None or least is None:
            best, least = found, error
        else:
            is_less = error < least
            best = Groups(*(torch.where(is_less, new, old) for new, old in zip(found, best, strict=True)))
            least = torch.where(is_less, error, least)
    assert best is not None
    return best


def _blocks(groups: Groups, codes: Float[Tensor, "F N"]) -> UInt8[np.ndarray, "F bytes"]:
    """As `hanlin/model/gguf/blocks32.py` draws them."""
    nibbles = codes.numpy().astype(np.uint8)
    ends = [np.ascontiguousarray(part.numpy().astype("<f2")[:, None]).view(np.uint8) for part in groups]
    packed = np.hstack([*ends, nibbles[:, :16] | nibbles[:, 16:] << np.uint8(4)])
    assert packed.shape[1] == TensorType.Q4_1.block_bytes
    return packed
