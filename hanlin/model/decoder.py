"""The decoder all families are: tokens → embedding → layers → norm → head, of the parts that a family names."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hanlin.core.errors import CapacityError
from hanlin.model.attention import View, look
from hanlin.model.blocks import Embedding
from hanlin.model.build import built
from hanlin.model.cache import Cache, empty
from hanlin.model.parts import Whole
from hanlin.model.rotate import turn, turns


class Decoder(nn.Module):
    """The network of any family: called, `network(tokens, cache=None) -> logits`."""

    is_causal: ClassVar[bool] = True
    """A position sees itself and what came before; else what comes after, too."""

    def __init__(self, parts: Whole) -> None:
        """`parts` are what a family's `parts(config)` says."""
        super().__init__()
        self.parts, self.config = parts, parts.config
        config = parts.config
        layers = nn.ModuleList(map(built, parts.layers))  # made first: the same seed draws the same new model as ever
        self.embed = Embedding(config.vocabulary, config.width)
        self.places = Embedding(config.context, config.width) if parts.has_learned_positions else None
        self.layers = layers
        self.norm = built(parts.norm)
        self.unembed = None if config.has_tied_head else nn.Linear(config.width, config.vocabulary, bias=False)
        self.embedding_scale, self.cap = parts.embedding_scale, parts.cap
        self.is_checkpointed = False
        """While learning, keep what goes into each layer alone and compute the rest again on the way back."""
        self.ropes = parts.ropes
        self.sights = list(dict.fromkeys(parts.sight_of))
        self.sight_of = [self.sights.index(sight) for sight in parts.sight_of]
        self.rope_of = [self.ropes.index(sight.rope) if sight.rope else None for sight in self.sights]

    def forward(
        self, tokens: Int[Tensor, "B T"], cache: Cache | None = None, documents: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token that follows each position.

        Raises:
            CapacityError: the cache, or a model with learned positions, has no room for so many.
        """
        return self.head(self.trunk(tokens, cache, documents))

    def trunk(
        self, tokens: Int[Tensor, "B T"], cache: Cache | None = None, documents: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """The residual stream after the last norm, for the new tokens; what came before is in the cache.

        Args:
            documents: for rows of several texts, which one each position belongs to, ascending: attention and positions
                begin anew with each. Without a cache only.

        Raises:
            CapacityError: the cache has no room for so many.
        """
        assert cache is None or documents is None, "rows of several texts are read in one pass"
        begin = cache.length if cache else 0
        end = cache.grown(tokens.shape[1]) if cache else tokens.shape[1]
        places = _places(begin, end, cache, documents, tokens.device)
        x = self._embedded(tokens, end, places)
        views = self._views(begin, end, cache, x, places, documents)
        for index, (layer, sight) in enumerate(zip(self.layers, self.sight_of, strict=True)):
            if self.is_checkpointed and cache is None and torch.is_grad_enabled():
                x = checkpoint(layer, x, views[sight], None, use_reentrant=False)
            else:
                x = layer(x, views[sight], cache.slabs[index] if cache else None)
        if cache:
            cache.length = end
        return self.norm(x)

    def head(self, x: Float[Tensor, "*b D"]) -> Float[Tensor, "*b V"]:
        """Logits from the residual stream."""
        logits = F.linear(x, self.embed.weight) if self.unembed is None else self.unembed(x)
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)

    def cache(self, batch: int, context: int, starts: Int[Tensor, " B"] | None = None) -> Cache:
        """An empty cache for `batch` rows of at most `context` positions.

        Args:
            starts: for rows padded on the left, the first real slot of each.
        """
        weight, config = self.embed.weight, self.config
        shape = (batch, config.kv_heads, context, config.head_width)
        return empty(len(self.layers), shape, self._turns(context, weight), starts, weight.dtype, weight.device)

    def _turns(self, span: int, like: Tensor) -> list[tuple[Tensor, Tensor]]:
        config = self.config
        return [turns(rope, config.head_width, config.context, span, like.dtype, like.device) for rope in self.ropes]

    def _embedded(self, tokens: Tensor, end: int, places: Tensor) -> Tensor:
        if self.places is not None and end > self.config.context:
            what = f"the model knows {self.config.context} positions; this would be {end}"
            raise CapacityError(what, "send fewer tokens")
        x = self.embed(tokens)
        if self.embedding_scale != 1:  # rounded to the weights' precision first, as the model was trained
            x = x * torch.tensor(self.embedding_scale, dtype=x.dtype, device=x.device)
        if self.places is not None:
            x = x + self.places(places)
        return x

    def _views(
        self, begin: int, end: int, cache: Cache | None, x: Tensor, places: Tensor, documents: Tensor | None
    ) -> list[View]:
        """One view per kind of sight."""
        starts = cache.starts if cache else None
        tables = cache.turns if cache else self._turns(end, x)
        place = slice(begin, end) if places.ndim == 1 else places
        ways = [turn(cos[place], sin[place]) for cos, sin in tables]
        views = []
        for sight, rope in zip(self.sights, self.rope_of, strict=True):
            way = None if rope is None else ways[rope]
            views.append(View(begin, end, *look(begin, end, sight.window, starts, x, documents), way))
        return views


def _places(
    begin: int, end: int, cache: Cache | None, documents: Tensor | None, device: torch.device
) -> Int[Tensor, "*b T"]:
    """Where the new tokens stand, counted from the start of their row or text; padding stands at 0."""
    slots = torch.arange(begin, end, device=device)
    if documents is not None:
        is_first = torch.ones_like(documents, dtype=torch.bool)
        is_first[:, 1:] = documents[:, 1:] != documents[:, :-1]
        return slots - torch.where(is_first, slots, 0).cummax(1).values
    if cache is None or cache.starts is None:
        return slots
    return (slots - cache.starts[:, None]).clamp_(0)
