"""A run goes on exactly where it was, whatever ended it; and not as another run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hanlin.cli.train.verify import compare
from hanlin.core.errors import CapacityError, RefusedError
from hanlin.core.settings import load
from hanlin.train import checkpoint, metrics
from hanlin.train.prepare import Resume
from hanlin.train.session import session
from hanlin.train.settings import RunFile, TrainSettings
from hanlin.train.step import Step
from train import files, tiny

KILLS = 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hanlin.train.pupil.product_speed", lambda *_: 1e11)
    monkeypatch.setattr("hanlin.train.session.write_report", lambda run: run / "report.html")
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))


def told(settings: RunFile, resume: Resume = Resume(), until: int | None = None) -> list[str]:
    """The sentences of a session."""
    return [event for event in session(settings, resume, until=until) if isinstance(event, str)]


GO_ON = Resume(is_wanted=True)


def test_a_run_that_is_killed_at_twenty_random_points_is_the_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    train = {"steps": 110, "save_every": 3, "validate_every": 7, "ema": 0.9}  # each life has at most four, as a rule
    run = files.run_file(tmp_path, train=train)
    argv = [sys.executable, str(Path(__file__).with_name("killed.py")), str(run), str(tmp_path), str(KILLS), "1"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    lives = json.loads(done.stdout)
    assert lives["whole"] == lives["exit"] == 0, done.stderr[-2000:]
    assert len(lives["points"]) == KILLS
    assert len(set(lives["points"])) > KILLS / 2, "it dies at many different steps"
    assert lives["in_a_checkpoint"], "and now and then while it writes a checkpoint"
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert compare(whole, broken) == ""
    lines = [list(metrics.read(run)) for run in (whole, broken)]
    for key in ("number", "loss", "rate", "gradient_norm", "tokens", "graded"):
        assert [line[key] for line in lines[0]] == [line[key] for line in lines[1]]
    losses = [[line["validation"]["loss"] for line in one if line["validation"]] for one in lines]
    assert losses[0] == losses[1]
    for file in sorted((whole / "model").glob("*.safetensors")):
        assert file.read_bytes() == (broken / "model" / file.name).read_bytes()
    indices = [checkpoint.index(run) for run in (whole, broken)]
    assert indices[0] == indices[1]


def test_compare_finds_another_loss_and_another_weight(tmp_path: Path) -> None:
    for name in ("one", "other"):
        told(files.settings(tmp_path, f'out="{tmp_path / name}"', "train.save_every=3"))
    one, other = tmp_path / "one", tmp_path / "other"
    assert compare(one, other) == ""
    file = checkpoint.listed(other)[-1] / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    assert compare(one, other) == "model.safetensors after the last step"
    lines = (other / "metrics.jsonl").read_text().splitlines()
    (other / "metrics.jsonl").write_text("\n".join(lines[:-1]))
    assert compare(one, other) == "6 steps in one and 5 in the other"
    (other / "metrics.jsonl").write_text((other / "metrics.jsonl").read_text().replace('"loss": ', '"loss": 1'))
    assert compare(one, other).startswith("step 1 has loss")


def test_a_run_whose_end_was_cut_off_is_only_finished(tmp_path: Path) -> None:
    settings = files.settings(tmp_path)
    told(settings)
    out = tmp_path / "out"
    before = (out / "metrics.jsonl").read_bytes()
    for file in (out / "model").iterdir():
        file.unlink()
    assert f"the model is in {out / 'model'}" in told(settings, GO_ON)
    assert (out / "model" / "model.safetensors").is_file()
    assert (out / "metrics.jsonl").read_bytes() == before


def test_a_folder_with_checkpoints_is_not_begun_in_by_chance(tmp_path: Path) -> None:
    settings = files.settings(tmp_path)
    told(settings, until=2)
    with pytest.raises(RefusedError, match="has the checkpoints of a run") as refused:
        told(settings)
    assert "--resume" in refused.value.fix and "--restart" in refused.value.fix
    told(settings, Resume(is_anew=True), until=1)
    assert [path.name for path in checkpoint.listed(tmp_path / "out")] == ["step-00000000", "step-00000001"]
    assert [line["number"] for line in metrics.read(tmp_path / "out")] == [1]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("train.lr=0.5", "train.lr was 0.02, is 0.5"),
        ("data.context=16", "data.context was 32, is 16"),
        ("train.optimiser.momentum=0.5", "train.optimiser.momentum was 0.95, is 0.5"),
        ("seed=1", "seed was 0, is 1"),
        ("tokenizer.vocabulary=290", "tokenizer.vocabulary was 300, is 290"),
    ],
)
def test_another_run_is_refused_by_name_and_the_folder_stays_as_it_was(tmp_path: Path, change: str, named: str) -> None:
    settings = files.settings(tmp_path)
    told(settings, until=2)
    out = tmp_path / "out"
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    other = load(RunFile, tmp_path / "run.toml", (change,))
    with pytest.raises(RefusedError) as refused:
        told(other, GO_ON)
    assert named in refused.value.what
    assert "--force" in refused.value.fix
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_other_data_are_refused_unless_forced_and_then_told(tmp_path: Path) -> None:
    settings = files.settings(tmp_path)
    told(settings, until=2)
    files.corpus(tmp_path / "data.jsonl", seed=1)
    with pytest.raises(RefusedError, match="the data is another"):
        told(settings, GO_ON)
    said = told(settings, Resume(is_wanted=True, is_forced=True))
    assert "changed since the checkpoint, and going on all the same: the data is another" in said
    assert [line["number"] for line in metrics.read(tmp_path / "out")] == [1, 2, 3, 4, 5, 6]


def test_what_changes_nothing_learnt_may_change(tmp_path: Path) -> None:
    told(files.settings(tmp_path), until=2)
    other = load(RunFile, tmp_path / "run.toml", ("train.save_every=1", "train.keep=5", "train.rows=2", "name=b"))
    assert "going on after step 2 of 6" in told(other, GO_ON)


def test_the_newest_checkpoint_that_is_whole_is_gone_on_from_and_nothing_else_is_lost(tmp_path: Path) -> None:
    settings = files.settings(tmp_path, train={"save_every": 2, "keep": 1, "validate_every": 100})
    told(load(RunFile, tmp_path / "run.toml", (f'out="{tmp_path / "whole"}"',)))
    told(load(RunFile, tmp_path / "run.toml", ("train.keep=3",)), until=4)
    (checkpoint.listed(tmp_path / "out")[-1] / "state.safetensors").write_bytes(b"half")
    assert "going on after step 2 of 6" in told(settings, GO_ON, until=3)
    assert [path.name for path in checkpoint.listed(tmp_path / "out")] == ["step-00000003"]
    told(settings, GO_ON)
    assert compare(tmp_path / "whole", tmp_path / "out") == ""


def test_a_resumed_run_computes_in_the_precision_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = files.settings(tmp_path, train={"steps": 4, "dtype": "auto"})
    told(settings, until=2)
    monkeypatch.setattr("hanlin.train.pupil.product_speed", lambda name, _: {"float32": 1e11, "bfloat16": 9e11}[name])
    assert any("on cpu in float32" in one for one in told(settings, GO_ON))


def test_an_interrupted_run_saves_the_step_it_was_at(tmp_path: Path) -> None:
    run = session(files.settings(tmp_path))
    for event in run:
        if isinstance(event, Step) and event.number == 3:
            break
    said = run.throw(KeyboardInterrupt)
    assert said == "stopped after step 3 of 6, which is saved; --resume goes on"
    found = checkpoint.latest(tmp_path / "out")
    assert found is not None and found.state.step == 3


def test_an_interrupt_in_the_middle_of_a_step_saves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = files.settings(tmp_path, train={"save_every": 2, "validate_every": 100})
    calls = []

    def cut(*_: object) -> bool:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr("hanlin.train.loop._is_spike", cut)
    with pytest.raises(KeyboardInterrupt):
        told(settings)
    found = checkpoint.latest(tmp_path / "out")
    assert found is not None and found.state.step == 2


def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = files.settings(tmp_path, train={"save_every": 2, "validate_every": 100})
    real = checkpoint.safetensors.write

    def full(path: Path, tensors: object) -> None:
        if "00000004" in str(path):
            raise OSError(28, "No space left on device")
        real(path, tensors)  # pyright: ignore

    with monkeypatch.context() as patch:
        patch.setattr("hanlin.train.checkpoint.safetensors.write", full)
        with pytest.raises(CapacityError, match="No space left on device; the earlier ones are untouched"):
            told(settings)
    assert "going on after step 2 of 6" in told(settings, GO_ON)


def test_patience_that_is_over_is_over_after_a_resume_too(tmp_path: Path) -> None:
    settings = files.settings(tmp_path, train={"steps": 50, "lr": 1e-20, "patience": 2, "validate_every": 1})
    told(settings)
    ended = [line["number"] for line in metrics.read(tmp_path / "out")]
    assert len(ended) < 50
    told(settings, GO_ON)
    assert [line["number"] for line in metrics.read(tmp_path / "out")] == ended


def test_the_gate_speaks_before_anything_is_cleared_away(tmp_path: Path) -> None:
    settings = files.settings(tmp_path)
    told(settings, until=2)
    rows = (json.dumps({"text": f"{number} {text}"}) + "\n" for number, text in enumerate(tiny.texts(300)))
    (tmp_path / "data.jsonl").write_text("".join(rows))
    with pytest.raises(RefusedError, match="share 13 words"):
        told(settings, Resume(is_anew=True))
    assert checkpoint.listed(tmp_path / "out")


def test_the_run_file_in_the_folder_repeats_a_run_whose_size_set_its_batch(tmp_path: Path) -> None:
    shape = {"size": 1, "width": None, "layers": None, "heads": None}
    settings = files.settings(tmp_path, model=shape, train={"steps": 1, "batch": None, "lr": None})
    told(settings)
    first = list(metrics.read(tmp_path / "out"))
    again = load(RunFile, tmp_path / "out" / "run.toml")
    told(again, Resume(is_anew=True))
    assert [line["loss"] for line in metrics.read(tmp_path / "out")] == [line["loss"] for line in first]
    assert first[0]["rows"] != TrainSettings().batch
