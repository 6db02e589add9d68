"""Which family a model is of: a folder or GGUF file in, the word of its own config or header out."""

import json
from pathlib import Path

from hanlin.core.errors import RefusedError, StoreError, shown
from hanlin.model.gguf.read import GGUFFile

CONFIG_BYTES = 16 << 20


def family_of(folder: Path, entry: str) -> str:
    """The architecture that the GGUF header or config.json names.

    Raises:
        WeightsError: the file is not a GGUF, or is damaged.
        StoreError: config.json is not JSON, or names no model type.
        RefusedError: the model brings code.
    """
    if entry:
        return str(GGUFFile.open(folder / entry).metadata.get("general.architecture", ""))
    path = folder / "config.json"
    fix = "take the model from elsewhere: its config.json is needed"
    try:
        with path.open("rb") as source:
            config = json.loads(source.read(CONFIG_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path.name} cannot be read: {error}", fix) from None
    if isinstance(config, dict) and config.get("auto_map"):
        what = f"{path.name} has auto_map = {shown(config['auto_map'])}: the model would have to run code of its own"
        raise RefusedError(what, "take a model of a family we carry: hanlin show lists what a checkpoint is")
    family = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(family, str):
        raise StoreError(f"{path.name} names no model_type: {shown(config)}", fix)
    return family
