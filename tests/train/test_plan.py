"""A plan is of the right order before the run, held against it afterwards, and better the next time."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hanlin.core.errors import CapacityError
from hanlin.train import memory, plan
from hanlin.train.crew import Crew
from hanlin.train.forecast import Forecast
from hanlin.train.known import known_losses
from hanlin.train.loop import fit
from hanlin.train.prepare import prepare
from train import files, tiny


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hanlin.train.pupil.product_speed", lambda *_: 1e11)
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))


TRIAL = plan.Trial((0.5, 0.5, 0.6), 10.0, 2.0, 1.0, 0.25, 1 << 30, 1 << 20)


def test_every_validation_sample_and_checkpoint_is_counted(tmp_path: Path) -> None:
    options = {"steps": 25, "save_every": 10, "validate_every": 10}
    work = tiny.work(tmp_path, train={**options, "sample_every": 20})
    steps = list(fit(work))
    validations = sum(step.validation is not None for step in steps)
    samples = sum(step.sample is not None for step in steps)
    saves = sum(step.is_saved for step in steps) + 2
    assert (validations, samples) == (3, 1)
    expected = 10 + 25 * 0.5 + validations * 2 + samples * 1 + saves * 0.25 + plan.END_SECONDS
    assert plan.run_seconds(TRIAL, work.settings, 25) == pytest.approx(expected)


def test_a_trial_leaves_the_folder_alone_and_tells_what_a_step_takes(tmp_path: Path) -> None:
    work = tiny.work(tmp_path / "run", train={"steps": 60})
    found = plan.trial(work, 1.0, 1.0)
    assert not (tmp_path / "run").exists()
    planned = plan.predicted(work, found)
    actual = sum(step.seconds for step in fit(tiny.work(tmp_path / "real", train={"steps": 60})))
    assert 0.3 < 60 * sorted(found.step_seconds)[len(found.step_seconds) // 2] / actual < 3
    assert planned.tokens == 60 * 4 * 32
    assert planned.fits and not planned.advice
    assert planned.seconds.low < planned.seconds.value < planned.seconds.high


def test_what_came_corrects_the_next_plan_and_a_right_correction_stays(tmp_path: Path) -> None:
    work = tiny.work(tmp_path)
    first = plan.predicted(work, TRIAL)
    for _ in range(4):
        planned = plan.predicted(work, TRIAL)
        plan.write(work, planned)
        plan.hold(work, 2 * first.seconds.value, None)
    assert planned.seconds.value == pytest.approx(2 * first.seconds.value)
    assert plan.correction("seconds", work, by="steps") == (1.0, 0.0), "another kind of plan errs in another way"


def test_runs_that_scatter_widen_the_interval(tmp_path: Path) -> None:
    work = tiny.work(tmp_path)
    calm = plan.predicted(work, TRIAL).seconds
    for factor in (0.6, 1.0, 1.5, 1.1, 0.7):
        planned = plan.predicted(work, TRIAL)
        plan.write(work, replace(planned, seconds=calm, factors={}))
        plan.hold(work, factor * calm.value, None)
    wide = plan.predicted(work, TRIAL).seconds
    assert (wide.high - wide.low) / wide.value > 1.5 * (calm.high - calm.low) / calm.value


def test_a_plan_of_another_run_is_not_held_against_this_one(tmp_path: Path) -> None:
    work = tiny.work(tmp_path)
    plan.write(work, plan.predicted(work, TRIAL))
    assert plan.is_of(plan.read(tmp_path), work)
    other = tiny.work(tmp_path, train={"lr": 0.5})
    assert not plan.is_of(plan.read(tmp_path), other)
    assert plan.hold(other, 5.0, None) is None
    assert plan.hold(work, 5.0, None)


def test_a_plan_for_one_process_is_neither_held_against_two_nor_corrected_by_them(tmp_path: Path) -> None:
    work = tiny.work(tmp_path)
    two = replace(work, crew=Crew(0, 2))
    plan.write(work, plan.predicted(work, TRIAL))
    assert not plan.is_of(plan.read(tmp_path), two) and plan.hold(two, 5.0, None) is None
    plan.write(two, plan.predicted(two, TRIAL))
    assert plan.hold(two, 3 * plan.predicted(two, TRIAL).seconds.value, None)
    assert plan.correction("seconds", work) == (1.0, 0.0)
    assert plan.correction("seconds", two)[0] == pytest.approx(3)


def test_the_loss_of_a_recipe_that_was_run_is_known_whatever_its_seed(tmp_path: Path) -> None:
    work = tiny.work(tmp_path)
    assert plan.predicted(work, TRIAL).loss is None
    for loss in (2.0, 2.1, 2.05):
        plan.hold(work, 1.0, loss)
    again = plan.predicted(tiny.work(tmp_path / "again", seed=5), TRIAL).loss
    assert again is not None and again.value == 2.05 and again.holds(2.1)
    assert known_losses(tiny.work(tmp_path, train={"lr": 0.5})) == []


def test_a_run_without_a_plan_makes_one_from_its_first_steps(tmp_path: Path) -> None:
    work = tiny.work(tmp_path, train={"steps": 40})
    forecast = Forecast(work, plan.time.monotonic())
    for step in fit(work):
        forecast.add(step)
    found = forecast.outcome(1.5)
    assert found is not None
    assert found["memory_bytes"]["actual"] == pytest.approx(found["memory_bytes"]["predicted"], rel=0.1)
    kept = json.loads((tmp_path / plan.NAME).read_text())
    assert kept["by"] == "steps" and kept["actual"]["loss"] == 1.5


def test_too_little_memory_or_disk_is_told_with_what_to_change(tmp_path: Path) -> None:
    work = tiny.work(tmp_path)
    planned = replace(plan.predicted(work, TRIAL), free_memory_bytes=1, free_disk_bytes=1)
    assert not planned.fits
    assert replace(planned, free_memory_bytes=int(planned.memory_bytes.value * 2.5), workers=2).is_roomy
    assert not replace(planned, free_memory_bytes=int(planned.memory_bytes.value * 2.5), workers=3).is_roomy
    advice = plan.advice(planned, work)
    assert advice[0].startswith("train.rows=2")
    assert any(line.startswith("model.is_checkpointed=true") for line in advice)
    assert advice[-1].startswith("train.keep=1")


def test_a_model_that_cannot_fit_is_refused_before_it_is_made(tmp_path: Path) -> None:
    huge = {"width": None, "layers": None, "heads": None, "size": 64}
    with pytest.raises(CapacityError, match="takes at least") as refused:
        list(prepare(files.settings(tmp_path, model=huge)))
    assert "model.size=32: a smaller model" in refused.value.fix


def test_the_formula_is_a_lower_bound_of_what_a_real_process_takes(tmp_path: Path) -> None:
    """And not a foolish one: a third of it at least, where the model is what takes the memory."""
    shape = {"width": 384, "layers": 4, "heads": 6}
    run = files.run_file(tmp_path, model=shape, data={"context": 256}, train={"steps": 2, "batch": 8})
    settings = files.settings(tmp_path, model=shape, data={"context": 256}, train={"steps": 2, "batch": 8})
    took = peak(run)
    empty = peak(files.run_file(tmp_path, train={"steps": 2}))
    least = memory.least_bytes(memory.unmade(settings, 300), settings, torch.float32, 8, is_made=False)
    assert 0.33 * (took - empty) < least < took - empty


def peak(run: Path) -> int:
    """Most memory of a process that trains."""
    code = (
        "import sys; from pathlib import Path; from hanlin.core.settings import load; "
        "from hanlin.train.settings import RunFile; from hanlin.train.prepare import Resume; "
        "from hanlin.train.session import session; from hanlin.train import plan; import hanlin.train.session as it; "
        "it.write_report = lambda run: run; "
        "list(session(load(RunFile, Path(sys.argv[1]), ()), Resume(is_anew=True))); print(plan.peak_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])
