"""run.toml of a run folder as it stands, for those who only look: without torch, whatever version wrote it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hanlin.core.errors import DataError, StoreError


def run_settings(run: Path) -> dict[str, Any]:
    """run.toml of a run folder.

    Raises:
        StoreError: it is no run folder.
        DataError: the file is damaged.
    """
    path = run / "run.toml"
    if not path.is_file():
        what = f"{run} is no run folder: it has no run.toml" if run.is_dir() else f"there is no run folder {run}"
        raise StoreError(what, "name a folder that `hanlin train` made; `hanlin runs` lists them")
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} is damaged: {error}", "copy the run file there again") from None


def section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of a run file; empty if there is none."""
    found = settings.get(name)
    return found if isinstance(found, dict) else {}


def objective_name(settings: Mapping[str, Any]) -> str:
    """The objective of a run file."""
    return str(section(settings, "objective").get("use", "next_token"))


def sources(settings: Mapping[str, Any], part: str) -> list[str]:
    """The paths of data.train or data.validation."""
    found = section(settings, "data").get(part, ())
    found = found if isinstance(found, list) else [found]
    return [str(one.get("path", "") if isinstance(one, dict) else one) for one in found]
