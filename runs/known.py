"""Keep what finished runs ended with, for `hanlin plan` on any machine: `python runs/known.py RUN…`

RUN is the folder of a shipped run that is over. Its recipe (settings, data and tokenizer) and last validation loss go
into `hanlin/train/known.json`. To be done again when a setting is added: the recipe's hash has all of them.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

from hanlin.core.settings import load
from hanlin.train.checkpoint import identity_of
from hanlin.train.identity import identity
from hanlin.train.known import SHIPPED, recipe_of_identity
from hanlin.train.metrics import read
from hanlin.train.settings import RunFile


def entry(run: Path) -> tuple[str, str, float]:
    """Recipe, name and final loss of a run."""
    kept, settings = identity_of(run), load(RunFile, run / "run.toml")
    now = identity(settings, kept["data"], kept["tokenizer"])  # settings that came later have their defaults
    found = {**now, "settings": {**now["settings"], **kept["settings"]}}
    losses = [line["validation"]["loss"] for line in read(run) if line["validation"]]
    return recipe_of_identity(found), settings.name, losses[-1]


def main() -> None:
    """Add the runs named to those that are known."""
    path = Path(str(files("hanlin.train").joinpath(SHIPPED)))
    known = {name: one for name, one in json.loads(path.read_text("utf-8")).items() if "losses" in one}
    for run in map(Path, sys.argv[1:]):
        recipe, name, loss = entry(run)
        known = {key: one for key, one in known.items() if one["name"] != name}
        known[recipe] = {"name": name, "losses": [round(loss, 4)]}
        print(f"{name}: {loss:.4f}")
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
