"""The parts of a corpus as columns: one column of all documents at a time, or the texts of one part."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hanlin.core.errors import StoreError


class Store:
    """What was measured, in the order of the documents."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the parts.

        Raises:
            StoreError: it has none.
        """
        self.folder = folder
        self.parts = sorted(folder.glob("*.parquet"))
        if not self.parts:
            raise StoreError(f"{folder} has no parts", "run it first: hanlin data RUN.toml")

    @cached_property
    def _facts(self) -> list[pq.FileMetaData]:
        found = []
        for path in self.parts:
            try:
                found.append(pq.read_metadata(path))
            except (OSError, pa.ArrowException) as error:
                raise _damaged(path, error) from None
        return found

    @cached_property
    def sizes(self) -> list[int]:
        """Documents of each part."""
        return [facts.num_rows for facts in self._facts]

    @cached_property
    def starts(self) -> np.ndarray:
        """The first document of each part, and the end."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def names(self) -> list[str]:
        """Columns that any part has."""
        known: dict[str, None] = {}
        for facts in self._facts:
            known |= dict.fromkeys(facts.schema.to_arrow_schema().names)
        return list(known)

    def column(self, name: str) -> np.ndarray:
        """A column of all documents: numbers (NaN where there is none), truths, or words."""
        found = [_plain(self.part(at, [name]), name, size) for at, size in enumerate(self.sizes)]
        if any(part.dtype == object for part in found):
            found = [part if part.dtype == object else np.full(len(part), "", object) for part in found]
        return np.concatenate(found)

    def lists(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column of hashes by document: all of them in a row, and which document each is of."""
        values, owners = [], []
        for at, start in enumerate(self.starts[:-1]):
            column = self.part(at, [name]).column(name).combine_chunks()
            lengths = np.diff(column.offsets.to_numpy())
            lengths = np.where(column.is_null().to_numpy(zero_copy_only=False), 0, lengths)
            values.append(column.flatten().to_numpy())
            owners.append(np.repeat(np.arange(start, start + len(lengths)), lengths))
        return np.concatenate(values), np.concatenate(owners)

    def texts(self, columns: list[str]) -> Iterator[tuple[int, pa.Table]]:
        """Part by part: its first document and its rows."""
        for at, start in enumerate(self.starts[:-1]):
            yield int(start), self.part(at, columns)

    def rows(self, documents: list[int], columns: list[str]) -> list[dict[str, Any]]:
        """A few documents whole."""
        found: dict[int, dict[str, Any]] = {}
        places = np.searchsorted(self.starts, documents, "right") - 1
        for place in sorted(set(places.tolist())):
            table = self.part(place, columns)
            for document in (doc for doc, at in zip(documents, places, strict=True) if at == place):
                found[document] = table.slice(document - int(self.starts[place]), 1).to_pylist()[0]
        return [found[document] for document in documents]

    def part(self, part: int, columns: list[str]) -> pa.Table:
        """Columns of a part, those that it has.

        Raises:
            StoreError: it is damaged.
        """
        path = self.parts[part]
        try:
            with pq.ParquetFile(path) as source:
                has = set(source.schema_arrow.names)
                return source.read([name for name in columns if name in has])
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> StoreError:
    what = f"{path} is damaged: {' '.join(str(error).split())[:200]}"
    marker = path.parent / f"{path.name[:6]}-*.done"
    return StoreError(what, f"delete it and {marker}; the next run makes it again")


def _plain(table: pa.Table, name: str, size: int) -> np.ndarray:
    if name not in table.column_names:
        return np.full(size, np.nan)
    column = table.column(name)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array([value or "" for value in column.to_pylist()], object)
    if pa.types.is_boolean(column.type):
        return column.fill_null(False).to_numpy()
    if pa.types.is_integer(column.type):
        return column.fill_null(0).to_numpy()
    return column.fill_null(np.nan).to_numpy()
