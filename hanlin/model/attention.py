"""Attention: what each position may see, and the weighted sum of what it sees.

`look` decides once per pass and kind of layer; every layer of that kind then uses the same `View`. A mask is made only
where one is needed: none for a single new token, none for a whole text that fits the window.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hanlin.model import learning
from hanlin.model.blocks import Linear, Part, Stack
from hanlin.model.cache import Slab
from hanlin.model.rotate import Turn, rotate


class View(NamedTuple):
    """What the new positions of a pass can see, and where they stand."""

    begin: int
    """Slot of the first new position."""
    end: int
    """Slot after the last one."""
    first: int
    """The earliest slot any of them can see."""
    is_causal: bool
    """Each sees itself and all before it, and there is nothing else to mask."""
    mask: Float[Tensor, "*b T S"] | None
    """Added to the scores: 0 or minus infinity."""
    turn: Turn | None
    """How queries and keys turn; None if positions are known otherwise."""


def look(
    begin: int,
    end: int,
    window: int | None,
    starts: Int[Tensor, " B"] | None,
    like: Tensor,
    documents: Int[Tensor, "B T"] | None = None,
) -> tuple[int, bool, Tensor | None]:
    """`(first, is_causal, mask)` of a View: slots `begin` to `end` are new, earlier ones cached.

    Args:
        window: how many positions one can see, itself included; None for all.
        starts: the first real slot of each row; what lies before is padding.
        like: a tensor of the mask's dtype and device.
        documents: which text each position belongs to; none sees another's.
    """
    first = 0 if window is None else max(0, begin - window + 1)
    if starts is None and documents is None and end - begin == 1:
        return first, False, None
    if starts is None and documents is None and begin == 0 and (window is None or window >= end):
        return 0, True, None
    slots = torch.arange(first, end, device=like.device)
    here = torch.arange(begin, end, device=like.device)[:, None]
    is_seen = slots <= here
    if window is not None:
        is_seen &= slots > here - window
    if documents is not None:
        is_seen = is_seen & (documents[:, None, :, None] == documents[:, None, None, :])
    if starts is not None:  # padding sees itself: a row of nothing but minus infinity would be NaN
        is_seen = is_seen & (slots >= starts[:, None, None, None]) | (slots == here)
    return (
        first,
        False,
        torch.zeros(is_seen.shape, dtype=like.dtype, device=like.device).masked_fill_(~is_seen, -torch.inf),
    )


class Attention(Part):
    """Queries, keys and values from one matrix; several query heads share a head of keys and values."""

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int,
        head_width: int,
        *,
        has_bias: bool = False,
        has_output_bias: bool = False,
        scale: float | None = None,
        cap: float | None = None,
        norms: tuple[nn.Module, nn.Module] | None = None,
        is_normed_whole: bool = False,
    ) -> None:
        """`norms` are for queries and keys: of each head, or of all heads together with `is_normed_whole`."""
        super().__init__()
        self.heads, self.kv_heads, self.head_width = heads, kv_heads, head_width
        self.scale, self.cap = scale or head_width**-0.5, cap
        self.qkv = Stack(width, (heads * head_width, kv_heads * head_width, kv_heads * head_width), has_bias)
        self.out = Linear(heads * head_width, width, bias=has_output_bias)
        self.query_norm, self.key_norm = norms or (None, None)
        self.is_normed_whole = is_normed_whole

    def forward(self, x: Float[Tensor, "B T D"], view: View, slab: Slab | None = None) -> Float[Tensor, "B T D"]:
        """What each position gathers from those it sees; keys and values are put into the slab."""
        batch, new, _ = x.shape
        qkv = self.qkv(x)
        if slab is None and self.cap is None and new > 1 and learning.is_learning(qkv):
            return self.out(self._learning(qkv, view))
        qk, v = self._heads(qkv, batch, new)
        if view.turn is not None:
            qk = rotate(qk, view.turn)
        q = qk.narrow(2, 0, self.heads)
        k = qk.narrow(2, self.heads, self.kv_heads).transpose(1, 2)  # (B, K, T, E)
        v = v.transpose(1, 2)
        seen = view.end - view.first
        if slab is not None:
            slab.keys.narrow(2, view.begin, new).copy_(k.detach() if k.requires_grad else k)
            slab.values.narrow(2, view.begin, new).copy_(v.detach() if v.requires_grad else v)
            k, v = slab.keys.narrow(2, view.first, seen), slab.values.narrow(2, view.first, seen)
        if new == 1:  # the query heads that share a key head stand as its rows: nothing is repeated
            q = q.view(batch, self.kv_heads, -1, self.head_width)
            return self.out(attend(q, k, v, view, self.scale, self.cap).reshape(batch, 1, -1))
        gathered = attend(q.transpose(1, 2), k, v, view, self.scale, self.cap)
        return self.out(gathered.transpose(1, 2).reshape(batch, new, -1))

    def _learning(self, qkv: Float[Tensor, "B T F"], view: View) -> Float[Tensor, "B T G"]:
        """What is gathered, where gradients will be asked for."""
        batch, new, _ = qkv.shape
        if self.query_norm is None:
            heads = qkv.view(batch, new, -1, self.head_width)
        else:
            heads = torch.cat(self._heads(qkv, batch, new), 2)
        turn = None if view.turn is None else view.turn[:2]
        return learning.attended(heads, self.kv_heads, turn, view.mask, self.scale)

    def _heads(self, qkv: Tensor, batch: int, new: int) -> tuple[Tensor, Tensor]:
        """Queries and keys together, normed where they are, and values: `(B, T, heads, E)` each."""
        shape = (batch, new, -1, self.head_width)
        turned = self.heads + self.kv_heads
        if self.query_norm is None or self.key_norm is None:
            heads = qkv.view(shape)
            return heads.narrow(2, 0, turned), heads.narrow(2, turned, self.kv_heads)
        q, k, v = qkv.split(self.qkv.rows, -1)
        if not self.is_normed_whole:
            q, k = q.view(shape), k.view(shape)
        q, k = self.query_norm(q), self.key_norm(k)
        return torch.cat((q.view(shape), k.view(shape)), 2), v.view(shape)


def attend(
    q: Float[Tensor, "B H T E"],
    k: Float[Tensor, "B K S E"],
    v: Float[Tensor, "B K S E"],
    view: View,
    scale: float,
    cap: float | None,
) -> Float[Tensor, "B H T E"]:
    """Softmax of the masked scores, times the values. `cap` squashes scores softly into -cap to cap."""
    is_shared = q.shape[1] != k.shape[1]
    if cap is None:
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=view.mask, is_causal=view.is_causal, scale=scale, enable_gqa=is_shared
        )
    if is_shared:
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    scores = cap * torch.tanh(q @ k.mT * (scale / cap))
    if view.is_causal:
        scores = scores.masked_fill(
            torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1), -torch.inf
        )
    elif view.mask is not None:
        scores = scores + view.mask
    return torch.softmax(scores, -1, dtype=torch.float32).to(v.dtype) @ v
