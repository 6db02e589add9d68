"""A path in, a model for the native kernels out: its weights go from the file into packed matrices, one after another.

Of a Hugging Face folder each matrix is read, rounded and dropped. Of a GGUF file the codes are kept as they are (see
`hanlin.model.gguf.packed`). Its matrices of floats, which have none, are rounded to eight bits; an embedding that is no
head stays in the file, from where each token's row is read when it comes. Layers are read side by side:
codes by as many threads as there are cores, and floats by no more than have, together, as many as the embedding.
"""

import math
import mmap
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hanlin.core.errors import RefusedError, WeightsError
from hanlin.core.heap import give_back
from hanlin.core.machine import allowed_cores
from hanlin.kernels import Packed
from hanlin.kernels.packed import LANES
from hanlin.kernels.plan import Lookup, Matrix, Plan
from hanlin.model.config import Shape
from hanlin.model.fill import fill, is_finite
from hanlin.model.gguf.packed import FORMS, Part, check, fit_together, packed
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.gguf.rows import StoredRows
from hanlin.model.opened import AGAIN, INFINITE, Opened, opened
from hanlin.model.parts import parameters
from hanlin.model.plan import Bits, Weights, assembled
from hanlin.model.store.sources.path import is_adapter
from hanlin.model.weights import Piece
from hanlin.text.tokenizer import Tokenizer

HEADS = ("head.safetensors", "classes.json")
"""What lies beside a model that answers with classes or numbers instead of tokens."""

LARGE, ROOM = 1 << 18, 1 << 22
"""Weights that are asked of the system itself, and those of the room that a thread uses again."""


@dataclass(frozen=True, eq=False)
class Native:
    """A model that the native kernels compute."""

    plan: Plan
    config: Shape
    tokenizer: Tokenizer | None
    family: str
    """The file in `families/` that defines it."""
    generation: Mapping[str, Any]
    """generation_config.json: how its makers would sample, and which tokens end an answer."""
    path: Path
    """The folder or file it was read from."""
    kind: str
    """What matrices are kept as: "int8", "int4", "float32"; or the file's own types, that of most weights first."""


def load_native(path: Path, positions: int | None = None, bits: Bits | None = None, group: int | None = None) -> Native:
    """Read a model from disk for the native kernels.

    Args:
        path: a Hugging Face folder, a .gguf file, or a folder that holds exactly one.
        positions: how many a sequence may have; None: the context window.
        bits: of a weight: 8, 4, or 32 for floats; None: of a GGUF file the codes it has, of a folder 8.
        group: weights that share a scale; None: with eight bits those of an output, with four 32. Codes have their own.

    Raises:
        WeightsError: the files are damaged, incomplete, or of a family or kind we do not carry.
        RefusedError: it is an adapter, has a classifier's head, would have to run code, or has parts the kernels lack.
        TokenizerError: its tokenizer cannot be built.
        ConfigError: there are no native kernels.
    """
    if is_adapter(path):
        raise RefusedError(
            f"{path} is an adapter, no model", "merge it with its model first: hanlin merge MODEL ADAPTER"
        )
    heads = [name for name in HEADS if (path / name).is_file()]
    if heads:
        raise RefusedError(f"{path} has a head of its own, {heads[0]}", "load it in float32, as hanlin classify does")
    it = opened(path)
    give_back()  # what the tokenizer was made from
    has_codes = it.file is not None and bits is None
    weights = Stored(it, bits or 8, group, it.file if has_codes else None)
    plan = assembled(it.parts, positions or it.parts.config.context, weights)
    give_back()
    kinds: Counter[str] = Counter()
    for name, count in weights.kinds:
        kinds[name] += count
    return Native(
        plan=plan,
        config=it.parts.config,
        tokenizer=it.tokenizer,
        family=it.family,
        generation=it.generation,
        path=it.path,
        kind=" ".join(name for name, _ in kinds.most_common()),
    )


def _passing(shape: tuple[int, ...]) -> np.ndarray:
    """Room for weights that are let go soon.

    Large ones are asked of the system itself, which gets the room back at once: in the heap they would leave holes
    between the packed ones, 80 MB of them in a model of 135 million weights.
    """
    count = math.prod(shape)
    if count < LARGE:
        return np.empty(shape, np.float32)
    return np.frombuffer(mmap.mmap(-1, 4 * count), np.float32).reshape(shape)


class Stored(Weights):
    """Weights of a model on disk, found by the parameters they belong to."""

    def __init__(self, it: Opened, bits: Bits, group: int | None, coded: GGUFFile | None) -> None:
        """`coded` is the file whose codes are kept as they are."""
        super().__init__(bits, group)
        self.it, self.coded = it, coded
        self.cores, self._room = allowed_cores().count, threading.local()
        self.known = parameters(it.parts)
        sizes = {name: math.prod(one.shape) for name, one in self.known.items()}
        most = max(size for name, size in sizes.items() if name.startswith("layers."))
        # Floats of as many layers at once as are no more than the embedding's, which come in one piece anyway.
        self.threads = self.cores if coded is not None else min(self.cores, max(1, sizes["embed.weight"] // most))
        self.kinds: list[tuple[str, int]] = []
        """Kind and weights of each matrix; they are made by several threads."""

    def floats(self, name: str) -> np.ndarray:
        """All of a parameter's, float32.

        Raises:
            WeightsError: some are infinite or no numbers.
        """
        return self._filled(name, _passing(self.known[name].shape))

    def passing(self, name: str) -> np.ndarray:
        """The same, in room that the thread's next call uses again: asking the system anew takes half of the time."""
        shape = self.known[name].shape
        return self._filled(name, _passing(shape) if math.prod(shape) > ROOM else self._lent(shape))

    def _lent(self, shape: tuple[int, ...]) -> np.ndarray:
        count, room = math.prod(shape), getattr(self._room, "array", None)
        if room is None:
            room = self._room.array = _passing((ROOM,))
        return room[:count].reshape(shape)

    def _slices(self, name: str) -> Iterator[np.ndarray]:
        """A large matrix of a GGUF file, some outputs at a time, each until the next."""
        file = self.it.file
        assert file is not None
        for piece in self.it.pieces[name]:
            rows, width = piece.shape
            order = np.arange(rows) if piece.order is None else piece.order
            step = max(1, ROOM // width // LANES) * LANES
            for begin in range(0, rows, step):
                some = self._lent((min(step, rows - begin), width))
                file.fill([(piece.name, some, order[begin : begin + step])], self.cores)
                self._check(name, some)
                yield some
        self._release(name)

    def _is_sliced(self, name: str) -> bool:
        *before, last = self.it.pieces[name]
        whole = all(len(piece.shape) == 2 and LANES * piece.shape[-1] <= ROOM for piece in (*before, last))
        fits = all(piece.shape[0] % LANES == 0 for piece in before)
        return self.it.file is not None and math.prod(self.known[name].shape) > ROOM and whole and fits

    def _filled(self, name: str, made: np.ndarray) -> np.ndarray:
        fill(self.it, {name: made}, self.cores)
        self._release(name)
        self._check(name, made)
        return made

    def matrices(self, name: str, *, is_head: bool = False) -> Sequence[Matrix]:
        """One, or of a file's codes as many as there are forms of them.

        Raises:
            WeightsError: as `floats`.
        """
        if self.coded is None:
            bits = 8 if is_head and self.bits < 32 else self.bits
            self.kinds.append((f"int{bits}" if bits < 32 else "float32", math.prod(self.known[name].shape)))
            if bits == 8 and self.group is None and self._is_sliced(name):
                outputs, inputs = self.known[name].shape
                return [Packed.int8_of(self._slices(name), outputs, inputs)]
            return super().matrices(name, is_head=is_head)
        runs: list[list[Piece]] = []
        for piece in self.it.pieces[name]:
            if runs and fit_together([self._part(one) for one in runs[-1]], self._part(piece)):
                runs[-1].append(piece)
            else:
                runs.append([piece])
        made = [self._matrix(run, name) for run in runs]
        self._release(name)
        return made

    def embedding(self, name: str, head: Matrix | None) -> Packed | np.ndarray | Lookup:
        """What rows are looked up in: the head, or else the file, where it has codes.

        Raises:
            WeightsError: as `floats`.
        """
        piece = self.it.pieces[name][0]
        if head is not None or self.coded is None or len(self.coded.parts) > 1 or self._part(piece).type not in FORMS:
            return super().embedding(name, head)
        with self._named(name):
            check(self._part(piece))
        self._release(name)
        return Lookup(self.known[name].shape[0], StoredRows(self.coded, piece.name))

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        """Errors say which file and which weights."""
        try:
            yield
        except WeightsError as error:
            raise WeightsError(f"{self.it.path.name}: {name} {error.what}", error.fix) from None

    def _matrix(self, run: Sequence[Piece], name: str) -> Matrix:
        parts = [self._part(piece) for piece in run]
        kind, weights = parts[0].type, sum(part.outputs for part in parts) * run[0].shape[-1]
        if kind in FORMS:
            self.kinds.append((kind.name, weights))
            with self._named(name):
                return packed(parts)
        assert self.coded is not None and len(run) == 1
        self.kinds.append(("int8", weights))
        array = self.coded.float32(run[0].name, order=run[0].order)
        self._check(name, array)
        return Packed.int8(array, self.group)

    def _part(self, piece: Piece) -> Part:
        file = self.coded
        assert file is not None
        release = partial(file.release, piece.name)
        return Part(file.info(piece.name).type, file.blocks(piece.name), piece.order, release)

    def _check(self, name: str, weights: np.ndarray) -> None:
        if not is_finite(weights):
            raise WeightsError(f"{self.it.path.name}: {name} {INFINITE}", AGAIN)

    def _release(self, name: str) -> None:
        if self.it.file is not None:
            for piece in self.it.pieces[name]:
                self.it.file.release(piece.name)
