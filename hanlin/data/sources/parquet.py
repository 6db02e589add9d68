"""Parquet: row groups are read in small batches, so that a file larger than memory streams."""

from collections.abc import Iterator

from hanlin.core.errors import DataError
from hanlin.data.example import Row
from hanlin.data.opened import File, wrong
from hanlin.data.settings import SourceSettings

SUFFIXES = (".parquet",)
AT_ONCE = 256


def rows(file: File, _: SourceSettings) -> Iterator[Row | DataError]:
    """The rows of a file, numbered from 1."""
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(file.path) as table:
            for batch in table.iter_batches(AT_ONCE):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(value, file.name, number)
    except (OSError, pyarrow.ArrowException, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        yield wrong(file, number + 1, f"the file is no Parquet, or is damaged: {reason}", "fetch or write it again")
        return
    if not number:
        yield wrong(file, 1, "the file has no rows", "leave it out")
