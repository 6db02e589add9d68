"""Rows of a tensor that stays in its file: numbers of rows in, their weights out, as float32.

An embedding that is no head is only looked up, a row for each token. Read when asked for, it takes no memory. It is
read, not mapped: a file cut short meanwhile is an error then and not the end of the program.
"""

import threading
import weakref

import numpy as np
from jaxtyping import Float32, Int

from hanlin.core.errors import WeightsError, shown
from hanlin.model.gguf.dequantise import dequantise
from hanlin.model.gguf.read import GGUFFile


class StoredRows:
    """Those of one tensor. Threads may ask at the same time."""

    def __init__(self, file: GGUFFile, name: str) -> None:
        """Of a file that is not split.

        Raises:
            WeightsError: the file has no such tensor.
        """
        assert len(file.parts) == 1, file.path
        self.info, self.path = file.info(name), file.path
        self.source = file.path.open("rb", buffering=0)
        self.lock = threading.Lock()
        weakref.finalize(self, self.source.close)

    def __call__(self, numbers: Int[np.ndarray, " N"]) -> Float32[np.ndarray, "N width"]:
        """The weights of some rows.

        Raises:
            WeightsError: the file is shorter than it was.
        """
        blocks = np.empty((len(numbers), self.info.row_bytes), np.uint8)
        with self.lock:
            for number, row in zip(numbers.tolist(), blocks, strict=True):
                self.source.seek(self.info.offset + number * self.info.row_bytes)
                if self.source.readinto(row.data) != len(row):
                    what = f"{self.path.name} ends before row {number} of {shown(self.info.name)}"
                    raise WeightsError(what, "the file was changed while it was in use: load the model again")
        return dequantise(self.info.type, blocks)
