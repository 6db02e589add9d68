"""Names and patterns in; the parts of a network they mean learn no more."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from hanlin.core.errors import ConfigError, did_you_mean, shown


def freeze(network: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Stop the gradients of some weights: those named, and those inside of parts that are named.

    Args:
        patterns: names such as "embed" or "layers.0.mlp", or patterns such as "layers.[0-3]" and "*norm*", in which
            * is anything, ? one character, and [0-3] one of some.

    Returns:
        The names of the weights that are frozen now by these patterns, in the network's order.

    Raises:
        ConfigError: a pattern means nothing here, or all of them leave nothing that learns.
    """
    weights = dict(network.named_parameters())
    found: set[str] = set()
    for pattern in patterns:
        meant = {name for name in weights if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")}
        if not meant:
            parts = {name for name, _ in network.named_modules() if name and name.count(".") < 2}
            what = f"model.frozen: {shown(pattern)} means no part of this model"
            raise ConfigError(what, did_you_mean(pattern, parts))
        found |= meant
    if found and not any(weight.requires_grad for name, weight in weights.items() if name not in found):
        raise ConfigError(f"model.frozen = {shown(list(patterns))} leaves nothing that learns", "freeze fewer parts")
    for name in found:
        weights[name].requires_grad_(False)
    return [name for name in weights if name in found]
