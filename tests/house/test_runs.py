"""Every shipped run file parses into the settings of the verb it is for."""

import importlib
from pathlib import Path

import pytest

from hanlin.core.errors import ConfigError
from hanlin.core.settings import load, parse, read_toml
from house.walk import ROOT

RUNS = sorted((ROOT / "runs").glob("*.toml"))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_run_file_parses(path: Path) -> None:
    verb = read_toml(path)["verb"]
    kind = importlib.import_module(f"hanlin.cli.commands.{verb}").RunFile
    settings = load(kind, path)
    assert settings.name == path.stem, "a run is named after its file"


def test_there_are_run_files_and_a_misspelt_key_is_refused() -> None:
    assert RUNS
    for path in RUNS:
        values = read_toml(path)
        kind = importlib.import_module(f"hanlin.cli.commands.{values['verb']}").RunFile
        with pytest.raises(ConfigError, match="naem is not a setting"):
            parse(kind, {**values, "naem": 1})
