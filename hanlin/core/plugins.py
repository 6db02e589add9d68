"""`use = "name"` → the file of that name. There is no registry to edit: to add a thing, add a file.

A name is looked for in the room's own folder, then as a path the user typed (`./mine.py`), then among installed entry
points of the group `hanlin.<folder>`.
"""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

from hanlin.core.errors import ConfigError, did_you_mean


def names(folder: str) -> list[str]:
    """What a plug-in folder offers, in order: `names("hanlin.model.families")` → `["gemma3", "gpt2", …]`."""
    package = importlib.import_module(folder)
    own = [found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_")]
    return sorted({*own, *(point.name for point in _points(folder))})


def find(folder: str, name: str) -> ModuleType:
    """The module that `use = "name"` means in a plug-in folder such as `hanlin.model.families`.

    Raises:
        ConfigError: no file, path or entry point has that name, or the file at the path fails.
    """
    if name.endswith(".py"):
        return _from_path(Path(name))
    package = importlib.import_module(folder)
    if name.isidentifier() and any(found.name == name for found in pkgutil.iter_modules(package.__path__)):
        return importlib.import_module(f"{folder}.{name}")
    for point in _points(folder):
        if point.name == name:
            return point.load()
    what = folder.rpartition(".")[2]
    raise ConfigError(f"'{name}' is not one of the {what}", did_you_mean(name, names(folder)))


def _points(folder: str) -> list[importlib.metadata.EntryPoint]:
    return list(importlib.metadata.entry_points(group=f"hanlin.{folder.rpartition('.')[2]}"))


def _from_path(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file", "give the path of a .py file, or the name of one we ship")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is the user's own code, and may raise anything
        what = f"{path} cannot be run: {type(error).__name__}: {error}"
        raise ConfigError(what, "mend it; hanlin --debug … shows the place") from error
    return module
