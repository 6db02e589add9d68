"""Arrow: files and streams of record batches, as `datasets` and Feather write them."""

from collections.abc import Iterator
from typing import Any

from hanlin.core.errors import DataError
from hanlin.data.example import Row
from hanlin.data.opened import File, wrong
from hanlin.data.settings import SourceSettings

SUFFIXES = (".arrow", ".feather")
AT_ONCE = 256


def rows(file: File, _: SourceSettings) -> Iterator[Row | DataError]:
    """The rows of a file, numbered from 1."""
    import pyarrow

    number = 0
    try:
        with pyarrow.memory_map(str(file.path)) as raw:
            for batch in _batches(raw):
                for begin in range(0, batch.num_rows, AT_ONCE):
                    for value in batch.slice(begin, AT_ONCE).to_pylist():
                        number += 1
                        yield Row(value, file.name, number)
    except (OSError, pyarrow.ArrowException, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        yield wrong(file, number + 1, f"the file is no Arrow, or is damaged: {reason}", "fetch or write it again")
        return
    if not number:
        yield wrong(file, 1, "the file has no rows", "leave it out")


def _batches(raw: Any) -> Iterator[Any]:
    import pyarrow

    if raw.read(6) == b"ARROW1":
        table = pyarrow.ipc.open_file(raw)
        yield from (table.get_batch(at) for at in range(table.num_record_batches))
    else:
        raw.seek(0)
        yield from pyarrow.ipc.open_stream(raw)
