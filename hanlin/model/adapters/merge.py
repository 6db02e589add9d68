"""A network with adapters in; a plain network that answers the same, the additions folded into its weights."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hanlin.model.adapters.adapted import Adapted, adapted
from hanlin.model.blocks import Linear, Stack
from hanlin.model.decoder import Decoder


def merged(network: Decoder) -> None:
    """Fold each addition into its map, in place, and make all weights ordinary ones that may learn again.

    The arithmetic is float32; the weights keep the network's own precision, and rounding to that is all that changes.
    A quantised base becomes dense: the weights it was trained on, not those it was quantised from.
    """
    dtype = network.embed.weight.dtype
    for name, module in adapted(network).items():
        parent, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(parent), leaf, _plain(module, dtype))
    network.requires_grad_(True)


@torch.no_grad()
def folded(module: Adapted) -> Float[Tensor, "F D"]:
    """The one matrix, in float32, that does what a map and its additions do."""
    dense = module.dense(torch.float32).clone()
    for block, own in module.additions():
        rows = dense[block.begin : block.end]
        rows.addmm_(own["b"].float(), own["a"].float(), alpha=block.scale)
        if "magnitude" in own:
            rows *= (own["magnitude"].float() / rows.norm(dim=1).clamp_min(1e-15))[:, None]
    return dense


def _plain(module: Adapted, dtype: torch.dtype) -> Linear:
    """A map of the kind it was, without memory being made and filled first."""
    kind = Stack if module.is_stack else Linear
    plain = kind.__new__(kind)
    nn.Module.__init__(plain)
    plain.in_features, plain.out_features = module.in_features, module.out_features
    if isinstance(plain, Stack):
        plain.rows = module.rows
    plain.weight = nn.Parameter(folded(module).to(dtype))
    plain.register_parameter("bias", module._parameters["bias"])
    return plain.train(module.training)
