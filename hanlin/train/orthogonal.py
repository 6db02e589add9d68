"""Newton-Schulz: a matrix in, the nearest matrix with all singular values (about) 1 out.

An odd polynomial, applied a few times, moves every singular value of a matrix of norm 1 towards 1 and leaves its
singular vectors as they are; that takes products only. Two sets of coefficients: those of Muon's author, the same
each time (https://kellerjordan.github.io/posts/muon/), and the optimal ones, others each time
(https://arxiv.org/abs/2505.16932).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Coefficients = Literal["muon", "polar_express"]

STEPS: dict[Coefficients, tuple[tuple[float, float, float], ...]] = {
    "muon": ((3.4445, -4.7750, 2.0315),),
    "polar_express": (
        (8.1566, -22.4833, 15.8788),
        (4.0429, -2.8089, 0.5000),
        (3.8917, -2.7725, 0.5061),
        (3.2858, -2.3681, 0.4645),
        (2.3465, -1.7098, 0.4232),
    ),
}
"""a, b, c of a·s + b·s³ + c·s⁵, time after time; the last goes on."""
MARGIN: dict[Coefficients, float] = {"muon": 1.0, "polar_express": 1.01}
"""The norm is divided by so much more: the optimal steps leave no room for a singular value above 1."""


def orthogonalised(
    matrices: Float[Tensor, "N rows cols"], coefficients: Coefficients = "muon", steps: int = 5
) -> Float[Tensor, "N rows cols"]:
    """Each matrix with its singular values brought to about 1, in the precision it comes in."""
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    size = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) * MARGIN[coefficients]
    x = x / size.clamp_(min=1e-7)
    for a, b, c in _chosen(STEPS[coefficients], steps):
        gram = x @ x.mT  # on the short side
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x


def _chosen(table: Sequence[tuple[float, float, float]], steps: int) -> Sequence[tuple[float, float, float]]:
    return [table[min(index, len(table) - 1)] for index in range(steps)]
