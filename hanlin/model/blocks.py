"""The parts layers are made of: norms, fused linear maps, feed-forward parts, experts."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from hanlin.model import learning
from hanlin.model.activation import Activation

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
}


class Part(nn.Module):
    """A module without torch's detours: a call is its `forward` until somebody hooks it, its parts are found at once.

    A decoder of 30 layers calls 270 modules per token, with the interpreter's own code pushed out of the caches by the
    weights: the detours were 4 of SmolLM2-135M's 30 milliseconds. Hooks on all modules at once (torch's global ones)
    are not seen.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "forward" in cls.__dict__:
            cls.__call__ = cls.forward  # pyright: ignore[reportAttributeAccessIssue]

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, nn.Module):
            self.__dict__[name] = value

    def register_forward_hook(self, *args: Any, **rest: Any) -> RemovableHandle:
        """As torch's."""
        return super(Part, self._watched()).register_forward_hook(*args, **rest)

    def register_forward_pre_hook(self, *args: Any, **rest: Any) -> RemovableHandle:
        """As torch's."""
        return super(Part, self._watched()).register_forward_pre_hook(*args, **rest)

    def register_full_backward_hook(self, *args: Any, **rest: Any) -> RemovableHandle:
        """As torch's."""
        return super(Part, self._watched()).register_full_backward_hook(*args, **rest)

    def register_full_backward_pre_hook(self, *args: Any, **rest: Any) -> RemovableHandle:
        """As torch's."""
        return super(Part, self._watched()).register_full_backward_pre_hook(*args, **rest)

    def _watched(self) -> "Part":
        """Itself, from now on called by way of torch's machinery, which sees its hooks."""
        kind = type(self)
        if kind.__call__ is not nn.Module.__call__:
            self.__class__ = type(kind.__name__, (kind,), {"__call__": nn.Module.__call__})  # pyright: ignore
        return self


class Linear(Part, nn.Linear):
    """A linear map."""

    def forward(self, input: Float[Tensor, "*b D"]) -> Float[Tensor, "*b F"]:  # noqa: A002  torch's name for it
        """Of each position by itself."""
        own = self._parameters
        if torch.is_grad_enabled():
            return learning.linear(input, own["weight"], own["bias"])  # pyright: ignore[reportArgumentType]
        return F.linear(input, own["weight"], own["bias"])  # pyright: ignore[reportArgumentType]


class RMSNorm(Part):
    """Divide by the root of the mean square, then scale each channel."""

    def __init__(self, width: int, epsilon: float, *, is_centred: bool = False) -> None:
        """With `is_centred` the weights say by how much the scale differs from 1 (Gemma)."""
        super().__init__()
        self.width, self.epsilon, self.is_centred = width, epsilon, is_centred
        self.weight = nn.Parameter(torch.zeros(width) if is_centred else torch.ones(width))
        self.least = torch.tensor(epsilon, device="cpu")

    def forward(self, x: Float[Tensor, "*b D"]) -> Float[Tensor, "*b D"]:
        """Normed over the last axis; in float32, whatever the stream's precision."""
        gain: Any = self._parameters["weight"]
        if self.is_centred:
            gain = 1 + gain.float()
        if learning.is_learning(x, gain):
            return learning.normed(x, gain, self.epsilon)
        if x.dtype != torch.float32 or x.device.type != "cpu":
            return F.rms_norm(x.float(), (self.width,), gain.float(), self.epsilon).type_as(x)
        # torch's own is ten kernels on a CPU, these are five: a twentieth of a small model's time per token.
        size = torch.linalg.vector_norm(x, 2, -1, True)
        return x * torch.addcmul(self.least, size, size, value=1 / self.width).rsqrt() * gain


class Embedding(Part):
    """A vector for each number. torch's own, made without memory, imports for over a second just to draw nothing."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, width))
        if not self.weight.is_meta:
            nn.init.normal_(self.weight, std=0.02)

    def forward(self, numbers: Int[Tensor, "*b"]) -> Float[Tensor, "*b D"]:
        """The vectors of some numbers, all below the count."""
        return F.embedding(numbers, self.weight)


class Stack(Linear):
    """Several linear maps of one input as one matrix; `rows` says how many rows are whose."""

    def __init__(self, width: int, rows: tuple[int, ...], has_bias: bool) -> None:
        super().__init__(width, sum(rows), bias=has_bias)
        self.rows = rows


class GatedMLP(Part):
    """One half opens the gates for the other."""

    def __init__(self, width: int, mlp: int, act: Activation = "silu", *, has_bias: bool = False) -> None:
        super().__init__()
        self.gate_up = Stack(width, (mlp, mlp), has_bias)
        self.down = Linear(mlp, width, bias=has_bias)
        self.act = ACTIVATIONS[act]
        self.name_of_act: Activation = act

    def forward(self, x: Float[Tensor, "*b D"]) -> Float[Tensor, "*b D"]:
        """Of each position by itself."""
        if torch.is_grad_enabled() and learning.is_learning(x, *self.parameters()):
            return self._learning(x)
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(self.act(gate) * up)

    def _learning(self, x: Tensor) -> Tensor:
        wide, down = self.gate_up, self.down
        if is_plain(wide) and is_plain(down):
            return learning.gated_mlp(x, wide.weight, wide.bias, down.weight, down.bias, self.name_of_act)
        return down(learning.gated(wide(x), self.name_of_act))


class MLP(Part):
    """Wide, bent, and narrow again."""

    def __init__(self, width: int, mlp: int, act: Activation) -> None:
        super().__init__()
        self.up = Linear(width, mlp)
        self.down = Linear(mlp, width)
        self.act = ACTIVATIONS[act]
        self.name_of_act: Activation = act

    def forward(self, x: Float[Tensor, "*b D"]) -> Float[Tensor, "*b D"]:
        """Of each position by itself."""
        return self.down(self.act(self.up(x)))


def is_plain(module: nn.Module) -> bool:
    """A linear map and no more: without an adapter, and nobody watches it."""
    return type(module) in (Linear, Stack)


class Experts(Part):
    """Many small feed-forward parts; a router picks a few for each position and weighs what they say."""

    def __init__(self, width: int, mlp: int, experts: int, chosen: int, act: Activation, *, is_normed: bool) -> None:
        """`chosen` experts speak per position; with `is_normed` their weights sum to 1."""
        super().__init__()
        self.router = Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(GatedMLP(width, mlp, act) for _ in range(experts))
        self.chosen, self.is_normed = chosen, is_normed

    def forward(self, x: Float[Tensor, "*b D"]) -> Float[Tensor, "*b D"]:
        """Of each position by itself."""
        flat = x.reshape(-1, x.shape[-1])
        shares, chosen = torch.softmax(self.router(flat), -1, dtype=torch.float32).topk(self.chosen)
        if self.is_normed:
            shares = shares / shares.sum(-1, keepdim=True)
        shares = shares.to(x.dtype)
        said = torch.zeros_like(flat)
        for expert in chosen.unique().tolist():
            rows, slot = (chosen == expert).nonzero(as_tuple=True)
            said.index_add_(0, rows, self.experts[expert](flat[rows]) * shares[rows, slot, None])
        return said.view_as(x)
