"""A run's validation data as rows of tokens, marked as in training: what its export is compared on."""

from functools import partial

from hanlin.core.settings import parse
from hanlin.train.export.probe import MOST_ROWS
from hanlin.train.export.trained import Trained
from hanlin.train.settings import RunFile


def validation_rows(trained: Trained) -> list[list[int]]:
    """The first rows of the run's validation data; none if it has none.

    Raises:
        ConfigError: run.toml is of another version.
        DataError: the data has gone, or cannot be read.
    """
    data = trained.settings.get("data")
    if not isinstance(data, dict) or not data.get("validation"):
        return []
    from hanlin.data.encode import encoded

    settings = parse(RunFile, trained.settings)
    objective = settings.objective
    encode = partial(objective.encode, tokenizer=trained.tokenizer, context=settings.data.context)
    found = encoded(settings.data.validation, encode, objective.TAKES, trained.lineage.hash, settings.data)
    return [found[index].ids.tolist() for index in range(min(MOST_ROWS, len(found)))]
