"""A compiled plan behind the face of a network: whatever reads whole texts (scores, tables, classes) need not know.

Generation does not come this way, see `hanlin.infer.engine`; so torch is imported when a text is first read.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hanlin.core.errors import RefusedError
from hanlin.kernels.kv import KVBlocks
from hanlin.kernels.low import Adapted, Lows
from hanlin.kernels.plan import Plan
from hanlin.model.config import Shape

BRANCHES = 16
"""Texts of one beginning in one pass: each has blocks of its own for keys and values."""
ROWS = 512
"""Positions in one pass: enough to keep the cores busy, few enough that memory does not grow with the text."""


class Compiled:
    """What a `Decoder` can do without gradients: `trunk` and `head`."""

    is_causal = True

    def __init__(self, plan: Plan, config: Shape, kind: str, adapter: Lows | None = None) -> None:
        """`kind` is what the weights are kept as: "int8", "int4", …; `adapter` is added to whatever is read."""
        self.plan, self.config, self.kind, self.adapter = plan, config, kind, adapter
        self._is_quiet = False

    def __call__(self, tokens: Int[Any, "B T"]) -> Float[Any, "B T V"]:
        """Logits of the token that follows each position."""
        return self.head(self.trunk(tokens))

    def trunk(self, tokens: Int[Any, "B T"], cache: None = None, documents: Any = None) -> Float[Any, "B T D"]:
        """The residual stream after the last norm.

        Raises:
            RefusedError: rows of several texts, which only a network that learns has.
        """
        if cache is not None or documents is not None:
            raise RefusedError("a compiled model reads one text a row, from its beginning", "load it in float32")
        places = -(-tokens.shape[1] // KVBlocks.SIZE)
        kv = self.plan.blocks(places)
        table = np.arange(places, dtype=np.int32)[None]
        seen = [self._read(kv, table, row.numpy()) for row in tokens.cpu()]
        return self._torch().from_numpy(np.stack(seen))

    def branches(self, beginning: Int[Any, " P"], ends: Sequence[Int[Any, " _"]]) -> list[Float[Any, "_ D"]]:
        """The same at each position of several texts that begin alike; the beginning is read once."""
        whole, rest = divmod(len(beginning), KVBlocks.SIZE)
        each = -(-(rest + max(map(len, ends), default=1)) // KVBlocks.SIZE)
        kv = self.plan.blocks(whole + 1 + BRANCHES * each)
        if len(beginning):
            self._read(kv, np.arange(whole + 1, dtype=np.int32)[None], beginning.numpy())
        found: list[Any] = []
        while len(found) < len(ends):
            some = _some([end.numpy() for end in ends[len(found) : len(found) + BRANCHES]])
            own = whole + 1 + np.arange(len(some) * each).reshape(len(some), each)
            tables = np.concatenate((np.tile(np.arange(whole), (len(some), 1)), own), 1).astype(np.int32)
            if rest:
                for block in own[:, 0]:
                    kv.copy(whole, int(block))
            found += map(self._torch().from_numpy, self._branch(kv, tables, len(beginning), some))
        return found

    def _branch(self, kv: KVBlocks, tables: np.ndarray, first: int, ends: Sequence[np.ndarray]) -> list[np.ndarray]:
        if len(ends) == 1:
            return [self._read(kv, tables, ends[0], first)]
        lengths = [len(end) for end in ends]
        positions = np.concatenate([np.arange(first, first + length) for length in lengths])
        owners, tokens = np.repeat(np.arange(len(ends)), lengths), np.concatenate(ends)
        return np.split(self._walk(kv, tokens, positions, owners, tables), np.cumsum(lengths)[:-1])

    def _read(self, kv: KVBlocks, table: np.ndarray, tokens: np.ndarray, first: int = 0) -> np.ndarray:
        parts = []
        for begin in range(0, len(tokens), ROWS):
            some = tokens[begin : begin + ROWS]
            positions = np.arange(first + begin, first + begin + len(some))
            parts.append(self._walk(kv, some, positions, np.zeros_like(positions), table))
        return np.concatenate(parts)

    def _walk(
        self, kv: KVBlocks, tokens: np.ndarray, positions: np.ndarray, owners: np.ndarray, tables: np.ndarray
    ) -> np.ndarray:
        """The stream at each row, after the last norm."""
        rows = len(tokens)
        adapted = None if self.adapter is None else Adapted(rows, [0] * rows, [self.adapter])
        said = self.plan.walk(
            *(kv, tokens, positions, owners, tables, np.arange(rows)), has_logits=False, has_seen=True, adapted=adapted
        )
        assert said.seen is not None
        return said.seen

    def head(self, x: Float[Any, "*b D"]) -> Float[Any, "*b V"]:
        """Logits from the residual stream."""
        flat = x.reshape(-1, x.shape[-1]).contiguous()
        logits = self._torch().from_numpy(self.plan.unembed(flat.numpy()))
        return logits.view(*x.shape[:-1], logits.shape[-1])

    def _torch(self) -> Any:
        """torch, which the first time is told to leave the cores to the kernels: all it does here is small."""
        import torch

        if not self._is_quiet:
            torch.set_num_threads(1)
            self._is_quiet = True
        return torch

    @property
    def bytes(self) -> int:
        """Memory the weights take."""
        return self.plan.bytes


def _some(ends: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """As many of the first ones as fit into a pass, and at least one."""
    count = int((np.cumsum([len(end) for end in ends]) <= ROWS).sum())
    return ends[: max(1, count)]
