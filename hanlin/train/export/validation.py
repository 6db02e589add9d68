"""A run's validation data as rows of tokens, the very ones it validated on: what its export is compared on."""

from hanlin.core.settings import parse
from hanlin.train.data import Data, read
from hanlin.train.export.probe import MOST_ROWS
from hanlin.train.export.trained import Trained
from hanlin.train.prepare import tokenizer_hash
from hanlin.train.settings import RunFile


def validation_rows(trained: Trained) -> list[list[int]]:
    """The first rows of the run's validation data, from the cache of tokens if it is there; none if it has none.

    Raises:
        ConfigError: run.toml is of another version.
        DataError: the data has gone, or cannot be read.
    """
    settings = parse(RunFile, trained.settings)
    for found in read(settings, trained.tokenizer, tokenizer_hash(trained.tokenizer)):
        if isinstance(found, Data):
            rows = (part[index].ids.tolist() for part in found.validation for index in range(len(part)))
            return [row for row, _ in zip(rows, range(MOST_ROWS), strict=False)]
    return []
