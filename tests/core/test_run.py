"""A run folder repeats its run, logs line by line, and never shows half a file."""

import errno
import json
from pathlib import Path

import pytest

from hanlin.core.errors import CapacityError, StoreError
from hanlin.core.run import Run, replacing
from hanlin.core.settings import Settings, load


class Small(Settings):
    """A run file of two keys."""

    name: str = "small"
    """Its name."""
    limit: int | None = None
    """Nothing, or a number."""


def test_the_resolved_settings_in_the_folder_repeat_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path / "a" / "b", Small(name="x"))
    assert load(Small, run.folder / "run.toml") == Small(name="x")


def test_the_log_has_one_stamped_line_per_event(tmp_path: Path) -> None:
    run = Run(tmp_path, Small())
    run.log({"stage": "翰林"})
    run.log({"stage": "two"})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["stage"] for line in lines] == ["翰林", "two"]
    assert 0 <= lines[0]["seconds"] <= lines[1]["seconds"]


def test_a_block_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as sink:
        sink.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_capacity_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(CapacityError, match="No space"), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        Run(tmp_path / "file" / "out", Small())
    with pytest.raises(StoreError, match="cannot be written"), replacing(tmp_path / "none" / "file"):
        pass


def test_a_log_that_no_run_wrote_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("mine")
    with pytest.raises(StoreError, match="no run wrote"):
        Run(tmp_path, Small())
    assert (tmp_path / "log.jsonl").read_text() == "mine"
