"""What a head beside a model's weights means: `classes.json`, written by training, read by `hanlin classify`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from hanlin.core.errors import HanlinError
from hanlin.core.settings import Settings
from hanlin.model.store import find

HEAD, PLAN = "head.safetensors", "classes.json"


class HeadSettings(Settings):
    """How a text comes to the head, and what the head's figures say."""

    objective: Literal["classify", "regress", "reward"]
    """What it was trained for: classes, a number, how good an answer is."""
    classes: tuple[str, ...] = ()
    """Names of the classes, in the order of the head's figures."""
    has_many: bool = False
    """A text may have several classes or none: each has a probability of its own."""
    mean: float | None = None
    """Of the numbers it was trained on."""
    deviation: float | None = Field(default=None, gt=0)
    """Of these numbers; the head's figure is in deviations from the mean."""
    between: str = "\n"
    """What stands between the two texts of a pair."""
    keep: Literal["start", "end"] = "end"
    """Which part of a text is read that is longer than the context."""
    context: int = Field(ge=1)
    """Most tokens of a text that are read."""
    base: Literal["as_is", "int8", "int4"] = "as_is"
    """How the frozen weights were kept under an adapter."""

    @property
    def outputs(self) -> int:
        """Figures of the head."""
        return len(self.classes) if self.objective == "classify" else 1


def headed(name: str) -> Path | None:
    """The folder with the head of a model that is here, if it has one: a run's, its model/, or an export's."""
    try:
        path = find(name)
    except HanlinError:
        return None
    places = [] if path is None or path.is_file() else [path, path / "model"]
    return next((place for place in places if (place / HEAD).is_file()), None)
