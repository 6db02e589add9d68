"""Cross-entropy without the logits: hidden states and targets in, a weighted sum of losses out.

The logits of all positions would be the largest tensor of training (4 × 512 positions of 49,152 tokens: 403 MB of
float32, several times over). Chunk by chunk the loss and its gradients are made together, so that only one chunk's
logits are ever held (the idea of https://arxiv.org/abs/2411.09009, without its kernels).

Per chunk there are the three products nobody can save, one softmax in place and two reads for maxima. Weights of
positions scale rows of the small tensors, never the logits.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from hanlin.model import products
from hanlin.model.decoder import Decoder

CHUNK = 1 << 23
"""Logits held at once: 32 MiB of float32, still fast to go over twice, and enough rows for products at full speed."""


def summed(
    network: Decoder, x: Float[Tensor, "*b D"], targets: Int[Tensor, "*b"], weights: Float[Tensor, "*b"]
) -> Float[Tensor, ""]:
    """Sum of weights × -log p(target), in nats, over the positions whose weight is not 0; float32.

    Args:
        network: for its head.
        x: what the trunk made of each position.
        targets: ids.
        weights: 0 leaves a position out.
    """
    graded = _graded(x, targets, weights)
    if not len(graded.targets):
        return x.sum() * 0.0
    matrix = _matrix(network)
    if matrix is None:
        return torch.dot(_by_module(network, graded), graded.weights)
    if torch.is_grad_enabled() and (x.requires_grad or matrix.requires_grad):
        return _Summed.apply(graded.x, matrix, graded.targets, graded.weights, network.cap)  # pyright: ignore
    return torch.dot(_losses(graded.x, matrix, graded.targets, network.cap), graded.weights)


def logprobs(
    network: Decoder, x: Float[Tensor, "B T D"], targets: Int[Tensor, "B T"], weights: Float[Tensor, "B T"]
) -> Float[Tensor, " B"]:
    """Sum of weights × log p(target) of each row, with gradients: what preference objectives compare."""
    graded = _graded(x, targets, weights)
    matrix = _matrix(network)
    if matrix is None:
        losses = _by_module(network, graded)
    elif torch.is_grad_enabled() and (x.requires_grad or matrix.requires_grad):
        losses = _Each.apply(graded.x, matrix, graded.targets, network.cap)
    else:
        losses = _losses(graded.x, matrix, graded.targets, network.cap)
    rows = graded.places // targets.shape[1]
    return -torch.zeros(len(x), dtype=torch.float32, device=x.device).index_add(0, rows, losses * graded.weights)


class _Graded(NamedTuple):
    """The positions that count."""

    x: Float[Tensor, "N D"]
    targets: Int[Tensor, " N"]
    weights: Float[Tensor, " N"]
    places: Int[Tensor, " N"]


def _graded(x: Tensor, targets: Tensor, weights: Tensor) -> _Graded:
    places = weights.flatten().nonzero()[:, 0]
    flat = x.flatten(0, -2)
    if len(places) == len(flat):  # as in pre-training: nothing to pick
        return _Graded(flat, targets.flatten(), weights.flatten().float(), places)
    return _Graded(flat[places], targets.flatten()[places], weights.flatten()[places].float(), places)


def _matrix(network: Decoder) -> nn.Parameter | None:
    """The head's weights; None where an adapter or a hook has made more of it than a matrix."""
    head = network.unembed
    if head is None:
        return network.embed.weight
    is_plain = type(head) is nn.Linear and head.bias is None and not head._forward_hooks
    return head.weight if is_plain else None  # pyright: ignore[reportReturnType]


def _chunks(x: Tensor, matrix: Tensor) -> Iterator[slice]:
    rows = max(16, CHUNK // len(matrix) // 16 * 16)
    for begin in range(0, len(x), rows):
        yield slice(begin, min(begin + rows, len(x)))


class _Chunk:
    """One chunk's logits after another in the same memory, and what becomes of them."""

    def __init__(self, x: Tensor, matrix: Tensor, cap: float | None, packs: products.Packs | None = None) -> None:
        self.matrix, self.cap, self.packs = matrix, cap, packs
        rows = next(_chunks(x, matrix))
        shape = (rows.stop, len(matrix))
        self.scores = torch.empty(shape, dtype=x.dtype, device=x.device)
        self.wide = (
            self.scores if x.dtype == torch.float32 else torch.empty(shape, dtype=torch.float32, device=x.device)
        )
        self.bent = torch.empty(shape, dtype=torch.float32, device=x.device) if cap is not None else None

    def losses(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """-log p of each target; and all probabilities, in memory that the next chunk will take."""
        scores, wide = self.scores[: len(x)], self.wide[: len(x)]
        if self.packs is None:
            torch.mm(x, self.matrix.t(), out=scores)
        else:
            self.packs.of(self.matrix, is_transposed=False)(x.contiguous(), out=scores)
        if wide is not scores:
            wide.copy_(scores)
        if self.cap is not None and self.bent is not None:
            bent = torch.tanh(wide.div_(self.cap), out=self.bent[: len(x)])
            torch.mul(bent, self.cap, out=wide)
        said = wide.gather(1, targets[:, None])[:, 0]
        highest = wide.amax(1)
        torch.softmax(wide, 1, out=wide)
        # The largest probability is never below 1 / V, so its logarithm is safe where the target's may not be.
        return highest - wide.amax(1).log_() - said, wide

    def pulls(self, probabilities: Tensor, targets: Tensor) -> Tensor:
        """Gradients of the losses with respect to the scores, made of the probabilities in place."""
        places = targets[:, None]
        probabilities.scatter_add_(1, places, torch.full_like(places, -1, dtype=torch.float32))
        if self.bent is not None:
            bent = self.bent[: len(probabilities)]
            probabilities.addcmul_(probabilities, bent.square_(), value=-1)
        if self.wide is self.scores:
            return probabilities
        return self.scores[: len(probabilities)].copy_(probabilities)


class _Gradients:
    """Of x and of the matrix, made chunk by chunk."""

    def __init__(
        self, x: Tensor, matrix: Tensor, *, is_matrix_wanted: bool, packs: products.Packs | None = None
    ) -> None:
        self.x, self.matrix, self.packs = x, matrix, packs
        self.of_x = torch.empty_like(x)
        self.of_matrix = torch.empty(matrix.shape, device=x.device) if is_matrix_wanted else None
        self.is_first = True

    def add(self, rows: slice, pulls: Tensor, weights: Tensor) -> None:
        """What a chunk pulls; `weights` are those of its positions."""
        weights = weights[:, None].to(self.x.dtype)
        if self.packs is None:
            torch.mm(pulls, self.matrix, out=self.of_x[rows])
        else:
            self.packs.of(self.matrix, is_transposed=True)(pulls, out=self.of_x[rows])
        self.of_x[rows] *= weights
        if self.of_matrix is None:
            return
        weighed = self.x[rows] * weights
        if self.x.dtype != torch.float32:  # sums of many chunks do not fit into bfloat16
            part = (pulls.t() @ weighed).float()
            self.of_matrix = part if self.is_first else self.of_matrix.add_(part)
        elif self.is_first:
            torch.mm(pulls.t(), weighed, out=self.of_matrix)
        else:
            torch.addmm(self.of_matrix, pulls.t(), weighed, out=self.of_matrix)
        self.is_first = False


def _losses(x: Tensor, matrix: Tensor, targets: Tensor, cap: float | None) -> Tensor:
    found = torch.empty(len(x), device=x.device)
    if not len(x):
        return found
    with torch.no_grad():
        chunk = _Chunk(x, matrix, cap)
        for rows in _chunks(x, matrix):
            found[rows] = chunk.losses(x[rows], targets[rows])[0]
    return found


def _packs(matrix: Tensor) -> products.Packs | None:
    """Of a head that multiplies in bytes, in a network told to (`hanlin.model.products`)."""
    return getattr(matrix, "packs", None)


class _Summed(torch.autograd.Function):
    """The gradients are made on the way forward, while the probabilities are at hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, targets: Tensor, weights: Tensor, cap: float | None) -> Tensor:
        packs = _packs(matrix)
        chunk = _Chunk(x, matrix, cap, packs)
        gradients = _Gradients(x, matrix, is_matrix_wanted=ctx.needs_input_grad[1], packs=packs)
        total = torch.zeros((), device=x.device)
        for rows in _chunks(x, matrix):
            losses, probabilities = chunk.losses(x[rows], targets[rows])
            total += torch.dot(losses, weights[rows])
            gradients.add(rows, chunk.pulls(probabilities, targets[rows]), weights[rows])
        ctx.gradients = gradients.of_x, gradients.of_matrix, matrix.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        assert ctx.gradients is not None, "the gradients of a loss are there once"
        of_x, of_matrix, dtype = ctx.gradients
        ctx.gradients = None
        if of_matrix is not None:
            of_matrix = of_matrix.mul_(pull).to(dtype)
        return of_x.mul_(pull.to(of_x.dtype)), of_matrix, None, None, None


class _Each(torch.autograd.Function):
    """Each position's loss. How much each will count is known only on the way back: the logits are made again there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, targets: Tensor, cap: float | None) -> Tensor:
        ctx.save_for_backward(x, matrix, targets)
        ctx.cap = cap
        return _losses(x, matrix, targets, cap)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, matrix, targets = ctx.saved_tensors
        if not len(x):
            return torch.zeros_like(x), None, None, None
        gradients = _Gradients(x, matrix, is_matrix_wanted=ctx.needs_input_grad[1])
        chunk = _Chunk(x, matrix, ctx.cap)
        for rows in _chunks(x, matrix):
            probabilities = chunk.losses(x[rows], targets[rows])[1]
            gradients.add(rows, chunk.pulls(probabilities, targets[rows]), pull[rows])
        of_matrix = gradients.of_matrix
        return gradients.of_x, None if of_matrix is None else of_matrix.to(matrix.dtype), None, None


def _by_module(network: Decoder, graded: _Graded) -> Tensor:
    """Losses by calling the head, each chunk again on the way back."""

    def part(x: Tensor, targets: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(network.head(x).float(), targets, reduction="none")

    found = [
        checkpoint(part, graded.x[rows], graded.targets[rows], use_reentrant=False)
        for rows in _chunks(graded.x, network.embed.weight)
    ]
    return torch.cat(found) if found else graded.weights
