"""`hanlin train` and `hanlin plan` as a user calls them: what they print, what they refuse, what they leave."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hanlin.cli.main import main
from hanlin.train import checkpoint, metrics
from train import files


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run a verb in the test's folder; its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("hanlin.train.pupil.product_speed", lambda *_: 1e11)

    def called(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["hanlin", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code if isinstance(ended.value.code, int) else 1

    return called


def hanlin(*words: str, folder: Path) -> subprocess.Popen[str]:
    code = "from hanlin.cli.main import main; main()"
    environment = {**os.environ, "HANLIN_HOME": str(folder / "home"), "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}
    argv = [sys.executable, "-c", code, *words]
    return subprocess.Popen(
        argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_run_is_told_saved_and_held_to_its_plan(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.run_file(tmp_path, train={"steps": 12})
    assert call("plan", "run.toml") == 0
    table = capsys.readouterr().out
    assert [line.split()[0] for line in table.splitlines()] == ["model", "work", "time", "memory", "disk", "loss"]
    assert "12 steps, 1,536 tokens" in table
    assert not (tmp_path / "out" / "checkpoints").exists()
    assert call("train", "run.toml") == 0
    said = capsys.readouterr().out
    assert "step 12: training loss" in said and "bits per byte" in said
    assert "seconds: predicted" in said and "memory_bytes: predicted" in said
    kept = (tmp_path / "out" / "plan.json").read_bytes()
    memory = {name: json.loads(kept)[name]["memory_bytes"] for name in ("predicted", "actual")}
    assert memory["actual"] == pytest.approx(memory["predicted"]["value"], rel=0.15)
    lines = list(metrics.read(tmp_path / "out"))
    assert [line["number"] for line in lines] == list(range(1, 13))
    assert sum(line["tokens"] for line in lines) == 12 * 4 * 32
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert call("plan", "run.toml", "tokenizer.vocabulary=290", "--json") == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["steps"] == 12
    assert "is held to its own plan" in found.err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_rows_are_shown_and_nothing_is_trained(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.run_file(tmp_path)
    assert call("train", "run.toml", "--show", "2", "--html", "rows.html") == 0
    said = capsys.readouterr().out
    assert "row 1 ·" in said and "row 2 ·" in said and "row 3 ·" not in said
    assert "<html" in (tmp_path / "rows.html").read_text()
    assert not (tmp_path / "out" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["train.stpes=3"], "train.stpes is not a setting", "did you mean 'steps'?"),
        (["trian.steps=3"], "trian is not a setting", "did you mean 'train'?"),
        (["train.optimiser.momentun=1"], "train.optimiser.momentun is not a setting", "did you mean 'momentum'?"),
        (["train.budget=20min"], "train.budget and train.steps both say how long", "keep one of them"),
        (["data.train=nowhere.jsonl"], "nowhere.jsonl", "fix"),
        (["train.batch=0"], "train.batch = 0", "at least 1"),
        (["model.size=64", "model.width=4096", "model.layers=64"], "takes at least", "model.size=32"),
    ],
)
def test_mistakes_are_two_lines(
    call, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], what: str, fix: str
) -> None:
    files.run_file(tmp_path)
    assert call("train", "run.toml", *words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert what in lines[-2]
    assert fix in lines[-1]
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_hostile_data_are_told_by_file_and_line(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.run_file(tmp_path)
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "broken.jsonl").write_text('{"text": "one"}\n{"text": "two"\n')
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    for name, place in (("empty.jsonl", "empty.jsonl"), ("broken.jsonl", "line 2"), ("pictures", "pictures")):
        assert call("train", "run.toml", f"data.train={name}") == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert lines[-1].startswith("  fix: ")
        assert place in lines[-2] and name in lines[-2]


def test_text_held_out_that_is_trained_on_is_refused(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.run_file(tmp_path)
    assert call("train", "run.toml", "data.validation=data.jsonl") == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("  fix: ")
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_ctrl_c_saves_and_a_damaged_checkpoint_is_told_on_the_terminal(tmp_path: Path) -> None:
    files.run_file(tmp_path, train={"steps": 100_000, "save_every": 5, "keep": 3, "validate_every": 10**6})
    child, out = hanlin("train", "run.toml", folder=tmp_path), tmp_path / "out"
    end = time.monotonic() + 60
    while sum(1 for _ in metrics.read(out)) < 12 and child.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    said, error = child.communicate(timeout=60)
    assert child.returncode == 130, error
    assert "which is saved; --resume goes on" in said
    newest = checkpoint.listed(out)[-1]
    assert int(newest.name.removeprefix("step-")) == max(line["number"] for line in metrics.read(out))
    (newest / "state.safetensors").write_bytes(b"half")
    again = hanlin("train", "run.toml", "--resume", "--until", "1", folder=tmp_path)
    said, error = again.communicate(timeout=60)
    assert again.returncode == 0, error
    assert f"{newest.name} is not used" in said + error
    assert f"going on after step {int(checkpoint.listed(out)[-2].name.removeprefix('step-'))}" in said


def test_exact_resume_is_proved_on_the_users_own_run(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.run_file(tmp_path, train={"steps": 50})
    assert call("train", "run.toml", "--verify-resume") == 0
    said = capsys.readouterr().out
    assert "killed a second copy after step" in said
    assert "exact: 6 losses and all weights of both runs are equal bit for bit" in said
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".hanlin")] == []
