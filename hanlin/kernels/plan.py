"""A decoder as a flat list of ops that the native core walks: rows of tokens in, logits out. Nothing about families.

A row is a position of some sequence. Its logits have the same bits whatever rows are beside it, on any threads and with
any instructions that have fused steps (the portable path has none); see native/plan.h, whose structures these are.
"""

import ctypes
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hanlin.kernels.arrays import matter, place
from hanlin.kernels.kv import KVBlocks
from hanlin.kernels.library import library
from hanlin.kernels.low import Adapted, Floats
from hanlin.kernels.packed import Packed

INT, LONG, FLOAT, PLACE = ctypes.c_int32, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
ACTS = ("silu", "gelu", "gelu_tanh", "relu")


class Kind(enum.IntEnum):
    """What an op does."""

    NORM = 0
    """to = norm(from)."""
    MULTIPLY = 1
    """to = matrix × from + bias, or added to what is there."""
    HEADS = 2
    """Queries, keys and values in `from`: normed, turned, kept; the queries to `to`."""
    ATTEND = 3
    """to = what the queries in `from` gather."""
    GATE = 4
    """to = act(first half of from) × second half."""
    ADD = 5
    """to += from."""
    EXPERTS = 6
    """to = what the chosen experts say of from."""


Matrix = Packed | Floats


class Lookup(NamedTuple):
    """An embedding that lies elsewhere, such as in a file."""

    vocabulary: int
    """Tokens it knows."""
    rows: Callable[[np.ndarray], np.ndarray]
    """Tokens (N,), int32 → their embeddings (N, width), float32."""

    @property
    def bytes(self) -> int:
        """Memory it takes."""
        return 0


class Norm(NamedTuple):
    """RMSNorm, or LayerNorm if the mean is taken off first."""

    gain: np.ndarray
    bias: np.ndarray | None
    epsilon: float
    is_centred: bool


class Experts(NamedTuple):
    """Small feed-forward parts, and who chooses among them."""

    router: Floats
    gate_ups: Sequence[Matrix]
    downs: Sequence[Matrix]
    chosen: int
    width: int
    """Inner width of one."""
    is_normed: bool
    act: str
    ups: Sequence[Matrix] = ()
    """Where the two halves of a `gate_up` are matrices of their own, the second ones."""


class Op(NamedTuple):
    """One of a plan's ops; what its kind has no use for is left out."""

    kind: Kind
    source: int
    """The buffer read; 0 is the residual stream."""
    to: int
    """The buffer written."""
    width: int = 0
    """Of what NORM, GATE and ADD make."""
    offset: int = 0
    """MULTIPLY: where in a row of `to` the products begin; several may write side by side."""
    layer: int = 0
    act: str = "silu"
    has_up: bool = False
    rope: int = -1
    is_whole: bool = False
    """HEADS: the norms are over all heads at once."""
    adds: bool = False
    window: int = 0
    """ATTEND: positions seen, oneself included; 0: all."""
    scale: float = 1.0
    cap: float = 0.0
    norm: Norm | None = None
    key_norm: Norm | None = None
    matrix: Matrix | None = None
    bias: np.ndarray | None = None
    experts: Experts | None = None
    path: str = ""
    """MULTIPLY: the name of the whole map; an adapter's additions belong to the last op of that name."""


class _Norm(ctypes.Structure):
    _fields_ = (("gain", PLACE), ("bias", PLACE), ("epsilon", FLOAT), ("is_centred", INT))


class _Experts(ctypes.Structure):
    _fields_ = (
        ("router", PLACE),
        ("gate_ups", PLACE),
        ("ups", PLACE),
        ("downs", PLACE),
        ("count", LONG),
        ("chosen", LONG),
        ("width", LONG),
        ("is_normed", INT),
        ("act", INT),
    )


class _Op(ctypes.Structure):
    _fields_ = (
        *((name, INT) for name in ("kind", "source", "to", "layer", "act", "has_up", "rope", "is_whole", "adds")),
        ("window", INT),
        ("width", LONG),
        ("offset", LONG),
        ("scale", FLOAT),
        ("cap", FLOAT),
        ("norm", _Norm),
        ("key_norm", _Norm),
        ("matrix", PLACE),
        ("bias", PLACE),
        ("experts", PLACE),
    )


class _Plan(ctypes.Structure):
    _fields_ = (
        *((name, LONG) for name in ("width", "heads", "kv_heads", "head_width", "ops", "buffers")),
        *((name, PLACE) for name in ("op", "widths", "embedding", "table", "places", "turns", "head")),
        ("last", _Norm),
        ("embedding_scale", FLOAT),
        ("cap", FLOAT),
    )


class _Batch(ctypes.Structure):
    _fields_ = (
        *((name, LONG) for name in ("count", "table_width", "wanted")),
        *(
            (name, PLACE)
            for name in ("tokens", "positions", "sequences", "tables", "rows", "logits", "seen", "embedded")
        ),
        ("adapted", PLACE),
        ("adapters", PLACE),
    )


class Said(NamedTuple):
    """What a pass says of the rows that were asked about."""

    logits: np.ndarray | None
    """(wanted, vocabulary), float32."""
    seen: np.ndarray | None
    """(wanted, width), float32: the residual stream after the last norm."""


class Survey(NamedTuple):
    """What is always wanted of rows of logits."""

    totals: np.ndarray
    """Of each the logarithm of the sum of their powers of e, float64; no number where one of them is none."""
    likeliest: np.ndarray
    """Of each the first one of the greatest, int32."""


def survey(logits: np.ndarray, drawable: int) -> Survey:
    """Of logits (rows, V), float32; the likeliest of the first `drawable`."""
    rows, count = logits.shape
    if not rows:
        return Survey(np.empty(0, np.float64), np.empty(0, np.int32))
    source = matter(logits)
    if source.stride != count or not 0 < drawable <= count:
        raise ValueError(f"{drawable} of {count} logits, whose rows lie {source.stride} apart")
    found = Survey(np.empty(rows, np.float64), np.empty(rows, np.int32))
    library().hanlin_survey(source.place, rows, count, drawable, *map(place, found))
    return found


@dataclass(frozen=True, eq=False)
class Plan:
    """A decoder, compiled."""

    ops: Sequence[Op]
    widths: Sequence[int]
    """Of the buffers; that of 1 at least the stream's."""
    width: int
    heads: int
    kv_heads: int
    head_width: int
    layers: int
    embedding: Packed | np.ndarray | Lookup
    head: Matrix
    last: Norm
    turns: Sequence[np.ndarray]
    """Of each rope (positions, head width), float32: cosines of half a head, sines."""
    positions: int
    """How many a sequence may have."""
    embedding_scale: float = 1.0
    cap: float = 0.0
    places: np.ndarray | None = None
    """Learned positions, (positions, width), float32."""
    reach: Sequence[Callable[[int], None]] = ()
    """Called before a pass with the position after its last: `turns` need not be there before."""
    native: "ctypes._Pointer[_Plan]" = field(init=False, repr=False)
    _kept: list[object] = field(init=False, repr=False, default_factory=list)
    """What native code points to."""

    def __post_init__(self) -> None:
        keep = self._kept.append
        ops = (_Op * len(self.ops))(*map(self._op, self.ops))
        widths = (LONG * len(self.widths))(*self.widths)
        turns = (PLACE * max(1, len(self.turns)))(*map(place, self.turns))
        packed = self.embedding if isinstance(self.embedding, Packed) else None
        table = self.embedding if isinstance(self.embedding, np.ndarray) else None
        native = _Plan(
            *(self.width, self.heads, self.kv_heads, self.head_width, len(self.ops), len(self.widths)),
            ctypes.addressof(ops),
            ctypes.addressof(widths),
            None if packed is None else _address(packed),
            place(table),
            place(self.places),
            ctypes.addressof(turns),
            _address(self.head),
            _norm(self.last),
            self.embedding_scale,
            self.cap,
        )
        keep((ops, widths, turns))
        object.__setattr__(self, "native", ctypes.pointer(native))

    @property
    def vocabulary(self) -> int:
        """Tokens there are logits of."""
        return self.head.outputs

    @property
    def bytes(self) -> int:
        """Memory that matrices and embeddings take."""
        matrices = {id(one): one.bytes for op in self.ops for one in _matrices(op)}
        for one in (self.head, self.embedding):
            matrices[id(one)] = one.nbytes if isinstance(one, np.ndarray) else one.bytes
        return sum(matrices.values())

    def unembed(self, seen: np.ndarray) -> np.ndarray:
        """Logits (rows, vocabulary) of the stream after the last norm, (rows, width), float32: with the same bits."""
        logits = np.empty((len(seen), self.vocabulary), np.float32)
        source, into = matter(seen), matter(logits)
        library().hanlin_unembed(self.native, source.place, source.stride, len(seen), into.place)
        return logits

    def blocks(self, count: int, store: str = "float32") -> KVBlocks:
        """Room for the keys and values of `count` blocks of 32 positions."""
        return KVBlocks(count, self.layers, self.kv_heads, self.head_width, store)

    def walk(
        self,
        blocks: KVBlocks,
        tokens: np.ndarray,
        positions: np.ndarray,
        sequences: np.ndarray,
        tables: np.ndarray,
        wanted: np.ndarray,
        *,
        has_logits: bool = True,
        has_seen: bool = False,
        adapted: Adapted | None = None,
    ) -> Said:
        """One pass. What a sequence's earlier positions left in its blocks is seen; its new ones are put there.

        Args:
            tokens: (rows,), int32.
            positions: (rows,), int32: where each stands in its sequence.
            sequences: (rows,), int32: which row of `tables` is its sequence's. Rows of one lie together, in order.
            tables: (sequences, places), int32: the blocks of each.
            wanted: (wanted,), int32: the rows asked about.
            adapted: which rows are computed with which adapter.

        Raises:
            ValueError: a number is out of range; native code would read past an end.
        """
        tokens, positions, sequences, tables, wanted = (
            np.ascontiguousarray(x, np.int32) for x in (tokens, positions, sequences, tables, wanted)
        )
        rows = len(tokens)
        if not rows:
            raise ValueError("no rows")
        _within("tokens", tokens, self._known)
        _within("positions", positions, min(self.positions, tables.shape[1] * blocks.SIZE))
        _within("sequences", sequences, len(tables))
        _within("blocks", tables, blocks.count)
        _within("wanted rows", wanted, rows)
        for reached in self.reach:
            reached(int(positions.max()) + 1)
        logits = np.empty((len(wanted), self.vocabulary), np.float32) if has_logits else None
        seen = np.empty((len(wanted), self.width), np.float32) if has_seen else None
        embedded = None
        if isinstance(self.embedding, Lookup):
            embedded = np.ascontiguousarray(self.embedding.rows(tokens), np.float32)
            if embedded.shape != (rows, self.width):
                raise ValueError(f"embeddings of shape {embedded.shape}, not {(rows, self.width)}")
        arrays = (tokens, positions, sequences, tables, wanted, logits, seen, embedded)
        batch = _Batch(rows, tables.shape[1], len(wanted), *map(place, arrays), *(adapted or Adapted(rows)).native)
        library().hanlin_walk(self.native, blocks.native, ctypes.byref(batch))
        return Said(logits, seen)

    @property
    def _known(self) -> int:
        """Tokens there are embeddings of."""
        if isinstance(self.embedding, np.ndarray):
            return len(self.embedding)
        return self.embedding.outputs if isinstance(self.embedding, Packed) else self.embedding.vocabulary

    def _op(self, op: Op) -> _Op:
        experts = None
        if op.experts is not None:
            them = op.experts
            parts = (them.gate_ups, them.ups, them.downs)
            lists = [(PLACE * len(some))(*map(_address, some)) if some else None for some in parts]
            places = [None if some is None else ctypes.addressof(some) for some in lists]
            size = len(them.gate_ups), them.chosen, them.width, them.is_normed, ACTS.index(them.act)
            experts = _Experts(_address(them.router), *places, *size)
            self._kept.append((lists, experts))
        return _Op(
            *(op.kind, op.source, op.to, op.layer, ACTS.index(op.act), op.has_up, op.rope, op.is_whole, op.adds),
            op.window,
            op.width,
            op.offset,
            op.scale,
            op.cap,
            _norm(op.norm),
            _norm(op.key_norm),
            None if op.matrix is None else _address(op.matrix),
            place(op.bias),
            None if experts is None else ctypes.addressof(experts),
        )


def _matrices(op: Op) -> list[Matrix]:
    if op.experts is not None:
        return [op.experts.router, *op.experts.gate_ups, *op.experts.ups, *op.experts.downs]
    return [] if op.matrix is None else [op.matrix]


def _norm(norm: Norm | None) -> _Norm:
    return _Norm() if norm is None else _Norm(place(norm.gain), place(norm.bias), norm.epsilon, norm.is_centred)


def _address(matrix: Matrix) -> int:
    return ctypes.addressof(matrix.native.contents)


def _within(what: str, numbers: np.ndarray, count: int) -> None:
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < count:
        raise ValueError(f"{what} from {numbers.min()} to {numbers.max()}, where there are {count}")
