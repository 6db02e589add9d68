"""Final losses of runs that were run before: the recipes we ship, and whatever this machine has trained.

A recipe is a run's settings (all that changes what is learnt, but for the seed) and its data. `known.json` beside this
file holds the shipped runs; `known.jsonl` in the user's own folder of Hanlin the others.
"""

import hashlib
import json
import statistics
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Any

from hanlin.core.home import home
from hanlin.train.identity import learnt
from hanlin.train.work import Work

LOCAL, SHIPPED = "known.jsonl", "known.json"
SPREAD = 0.03
"""Half an interval at least, as a share of the loss: another seed moves small runs by about so much."""


def recipe_of(work: Work) -> str:
    """A hash of what is learnt from what, whatever the seed."""
    return recipe_of_identity(work.identity)


def recipe_of_identity(identity: Mapping[str, Any]) -> str:
    """The same, of what a checkpoint remembers."""
    settings = {key: value for key, value in learnt(identity).items() if key != "seed"}
    content = json.dumps([settings, identity["data"], identity["tokenizer"]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def known_losses(work: Work) -> list[float]:
    """What runs of this recipe ended with, earlier."""
    recipe = recipe_of(work)
    shipped = json.loads(files("hanlin.train").joinpath(SHIPPED).read_text("utf-8"))
    found = [float(loss) for loss in shipped.get(recipe, {}).get("losses", [])]
    try:
        lines = (home() / LOCAL).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        with suppress(ValueError):  # a line that was cut short is passed over
            one = json.loads(line)
            found += [float(one["loss"])] if one.get("recipe") == recipe else []
    return found


def remember(work: Work, loss: float) -> None:
    """Keep what this run ended with."""
    line: dict[str, Any] = {"recipe": recipe_of(work), "name": work.settings.name, "loss": loss}
    path = home() / LOCAL
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as sink:
        sink.write(json.dumps(line) + "\n")


def middle(losses: list[float]) -> tuple[float, float]:
    """Their median, and how far from it others may lie, as a share of it."""
    value = statistics.median(losses)
    scatter = 2 * statistics.stdev(losses) / abs(value) if len(losses) > 2 and value else 0.0
    return value, max(SPREAD, scatter)
