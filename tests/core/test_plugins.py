"""A name is a file: in the folder, at a path, or an installed entry point."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from hanlin.core import plugins
from hanlin.core.errors import ConfigError

FOLDER = "hanlin.cli.commands"


def test_the_files_of_a_folder_are_its_names() -> None:
    assert set(plugins.names(FOLDER)) >= {"generate", "chat", "doctor"}
    assert plugins.names(FOLDER) == sorted(plugins.names(FOLDER))


def test_a_name_gives_its_module() -> None:
    assert plugins.find(FOLDER, "doctor").__name__ == f"{FOLDER}.doctor"


@pytest.mark.parametrize("name", ["doctr", "../main", "os", "", "__init__"])
def test_an_unknown_name_is_refused_with_a_suggestion(name: str) -> None:
    with pytest.raises(ConfigError, match="is not one of the commands") as caught:
        plugins.find(FOLDER, name)
    assert ("doctor" in caught.value.fix) or ("one of:" in caught.value.fix)


def test_a_path_gives_the_users_own_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("ANSWER = 42\n")
    assert plugins.find(FOLDER, str(tmp_path / "mine.py")).ANSWER == 42
    with pytest.raises(ConfigError, match="is not a Python file"):
        plugins.find(FOLDER, str(tmp_path / "none.py"))


def test_an_installed_entry_point_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "json", "hanlin.commands")
    monkeypatch.setattr(plugins, "_points", lambda folder: [point])
    assert plugins.find(FOLDER, "theirs").__name__ == "json"
    assert "theirs" in plugins.names(FOLDER)


def test_a_users_file_that_fails_is_told_as_theirs(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("1 / 0\n")
    with pytest.raises(ConfigError, match=r"mine\.py cannot be run: ZeroDivisionError"):
        plugins.find(FOLDER, str(tmp_path / "mine.py"))
