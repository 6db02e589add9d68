"""`hanlin eval` and `hanlin compare`, as a user types them, on the default model."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hanlin.cli.commands import compare, eval  # noqa: A004
from hanlin.core.errors import ConfigError

TASK = """
data = "rows.jsonl"
prompt = "{question}"
choices = "options"
gold = "answer"
"""
ROWS = [
    {"question": "The capital of France is", "options": ["Paris", "London", "an apple"], "answer": "Paris"},
    {"question": "The opposite of hot is", "options": ["blue", "cold", "Tuesday"], "answer": "B"},
    {"question": "中国的首都是", "options": ["北京", "上海市"], "answer": 0},
    {"question": "One, two, three,", "options": ["seven", "four"], "answer": 1},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smollm2: Path) -> Path:
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    (tmp_path / "mine.toml").write_text(TASK, "utf-8")
    (tmp_path / "gate.toml").write_text("[mine]\naccuracy = { at_least = 1.01 }\n", "utf-8")
    return tmp_path


def ran(command, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


def test_an_exam_is_taken_kept_told_and_gated(folder: Path, smollm2: Path) -> None:
    done = ran(eval.command, smollm2, "mine.toml", "--dtype", "int8", "--json", "--out", "items.parquet")
    told = json.loads(done.stdout)["exams"][0]
    assert (done.exit_code, told["items"], told["settings"]["file"]) == (0, 4, str(folder / "mine.toml"))
    assert told["scores"]["accuracy"]["value"] >= 0.75
    assert (folder / "items.parquet").read_bytes()[:4] == b"PAR1"
    again = ran(eval.command, smollm2, "mine.toml", "--dtype", "int8", "--gate", "gate.toml")
    assert again.exit_code == 1
    assert "mine: 4 of 4 answers are known already" in again.stderr
    assert "gate: mine accuracy" in again.stderr and "is below 1.01" in again.stderr
    assert "| 95 % interval |" in again.stdout
    same = ran(compare.command, f"{smollm2}:int8", f"{smollm2}:int8")
    assert "not significant" in same.stdout
    assert "0 won, 0 lost, 4 alike" in same.stdout


def test_what_is_missing_is_named_before_a_model_is_opened(folder: Path) -> None:
    for words, what in [
        (["no-such-model"], "no model or no task"),
        (["no-such-model", "boolqq"], "'boolqq' is not one of the tasks"),
        (["no-such-model", "text"], "text has no data"),
        (["no-such-model", "mine.toml", "--data", "text=rows.jsonl"], "--data names text"),
        (["no-such-model", "mine.toml", "--data", "x"], "names no task and path"),
        (["no-such-model", "mine.toml", "--gate", "none.toml"], "none.toml cannot be read"),
        (["no-such-model", "mine.toml", "--out", "x.pdf"], "--out x.pdf ends in"),
    ]:
        with pytest.raises(ConfigError, match=what):
            ran(eval.command, *words)
    with pytest.raises(ConfigError, match="no exam of a is kept"):
        ran(compare.command, "a", "b")
    with pytest.raises(ConfigError, match="1 models cannot be compared"):
        ran(compare.command, "a")


def test_every_task_is_listed() -> None:
    done = ran(eval.command, "--list")
    assert done.exit_code == 0
    assert {"boolq", "mmlu", "zh_sentiment", "text"} <= {line.split()[0] for line in done.stdout.splitlines()}
