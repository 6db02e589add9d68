"""The layer all families have: attention, then the feed-forward part, each added to the stream that passes by.

    x = x + end_norm(attention(norm(x)))
    x = x + end_norm(mlp(norm(x)))

The norms that a family has not are left out.
"""

from jaxtyping import Float
from torch import Tensor, nn

from hanlin.model.attention import Attention, View
from hanlin.model.blocks import MLP, Experts, GatedMLP, Part
from hanlin.model.cache import Slab


class Layer(Part):
    """One of a decoder's layers."""

    def __init__(
        self,
        attention: Attention,
        mlp: GatedMLP | MLP | Experts,
        *,
        attention_norm: nn.Module | None = None,
        attention_end_norm: nn.Module | None = None,
        mlp_norm: nn.Module | None = None,
        mlp_end_norm: nn.Module | None = None,
    ) -> None:
        """Norms of what a part reads, and `end` norms of what it says."""
        super().__init__()
        self.attention_norm = attention_norm
        self.attention = attention
        self.attention_end_norm = attention_end_norm
        self.mlp_norm = mlp_norm
        self.mlp = mlp
        self.mlp_end_norm = mlp_end_norm

    def forward(self, x: Float[Tensor, "B T D"], view: View, slab: Slab | None = None) -> Float[Tensor, "B T D"]:
        """The residual stream, one layer on."""
        read = x if self.attention_norm is None else self.attention_norm(x)
        said = self.attention(read, view, slab)
        x = x + (said if self.attention_end_norm is None else self.attention_end_norm(said))
        said = self.mlp(x if self.mlp_norm is None else self.mlp_norm(x))
        return x + (said if self.mlp_end_norm is None else self.mlp_end_norm(said))
