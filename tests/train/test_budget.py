"""A length of time becomes a size and a number of steps: as the rule has it, within the time, once and for all."""

import json
from pathlib import Path

import pytest

from hanlin.core.errors import ConfigError, RefusedError
from hanlin.core.settings import load
from hanlin.train import budget, plan
from hanlin.train.memory import unmade
from hanlin.train.prepare import Resume, prepare
from hanlin.train.session import session
from hanlin.train.settings import RunFile
from hanlin.train.size import TOKENS_PER_WEIGHT, multiplying
from hanlin.train.step import Step
from hanlin.train.work import Work
from train import files

OPEN = {"width": None, "layers": None, "heads": None}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hanlin.train.pupil.product_speed", lambda *_: 1e11)
    monkeypatch.setattr("hanlin.train.budget.MEASURED_SECONDS", 1.0)
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20min", 1200), ("2h", 7200), ("90s", 90), ("1h30min", 5400), ("1.5 h", 5400), ("1h 2m 3s", 3723)],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert budget.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["soon", "20", "0min", "min", "-5min", "1.2.3h", "20min20min"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.budget"):
        budget.seconds_of(text)


@pytest.mark.parametrize("other", ["steps=5", "epochs=1", "tokens=1000"])
def test_two_lengths_are_refused_before_anything_is_read(tmp_path: Path, other: str) -> None:
    settings = files.settings(tmp_path, f"train.{other}", train={"steps": None, "budget": "20s"})
    (tmp_path / "data.jsonl").unlink()
    with pytest.raises(ConfigError, match=rf"train\.budget and train\.{other.split('=')[0]} both say how long"):
        list(prepare(settings))


def trial(step_seconds: float) -> plan.Trial:
    return plan.Trial((step_seconds,) * 3, 0.0, 0.1, 0.1, 0.1, 1 << 30, 1 << 20)


def sham(monkeypatch: pytest.MonkeyPatch, settings: RunFile, epoch_steps: float, flops: float = 1e10) -> list[int]:
    """A machine of which the speed is known: 6 operations per weight and token; the sizes it is asked to try."""
    asked: list[int] = []

    def measured(work: RunFile, seconds: float) -> budget.Tried:
        asked.append(work.model.size or 0)
        tokens = 4096
        return budget.Tried(trial(6 * multiplying(unmade(work, 300)) * tokens / flops), 1.0, work, tokens, epoch_steps)

    monkeypatch.setattr(budget, "measured", measured)
    return asked


@pytest.mark.parametrize("minutes", [10, 60, 600])
def test_the_size_is_the_one_that_time_can_feed_with_twelve_tokens_for_each_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    settings = files.settings(tmp_path, model=OPEN, train={"steps": None, "budget": f"{minutes}min", "batch": 128})
    asked = sham(monkeypatch, settings, 1e9)
    *said, choice = budget.spent(settings, tmp_path, 300, lambda it: it, budget.time.monotonic(), is_kept=False)  # pyright: ignore
    assert isinstance(choice, budget.Choice) and choice.size is not None
    assert len(asked) <= 3
    seconds = budget.SPENT * minutes * 60

    def off(size: int) -> float:
        weights = multiplying(unmade(budget.with_choice(settings, replace_size(choice, size)), 300))
        return max(seconds * 1e10 / (6 * weights) / (TOKENS_PER_WEIGHT * weights), 1e-9)

    assert 0.4 < off(choice.size) < 2.5, "tokens per weight are near the rule"
    assert any("tokens/s" in line for line in said if isinstance(line, str))


def replace_size(choice: budget.Choice, size: int) -> budget.Choice:
    return choice.model_copy(update={"size": size})


def test_weights_that_multiply_are_counted_as_those_of_the_whole_model(tmp_path: Path) -> None:
    settings = files.settings(tmp_path, model={**OPEN, "has_tied_head": False})
    found = budget.sizes(settings, 300)
    for size in (2, 5):
        whole = settings.model_copy(update={"model": settings.model.model_copy(update={"size": size})})
        assert found[size] == multiplying(unmade(whole, 300))


def test_a_longer_time_never_means_a_smaller_model_or_less_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for minutes in (5, 20, 80, 320):
        settings = files.settings(tmp_path, model=OPEN, train={"steps": None, "budget": f"{minutes}min"})
        sham(monkeypatch, settings, 1e9)
        *_, choice = budget.spent(settings, tmp_path, 300, lambda it: it, budget.time.monotonic(), is_kept=False)  # pyright: ignore
        assert isinstance(choice, budget.Choice)
        found.append((choice.size or 0, choice.steps))
    assert [size for size, _ in found] == sorted(size for size, _ in found)
    assert found[-1][0] > found[0][0]


def test_little_text_is_read_four_times_at_most_and_carries_a_smaller_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = files.settings(tmp_path, model=OPEN, train={"steps": None, "budget": "600min"})
    sham(monkeypatch, settings, 1e9)
    *_, much = budget.spent(settings, tmp_path, 300, lambda it: it, budget.time.monotonic(), is_kept=False)  # pyright: ignore
    sham(monkeypatch, settings, 100.0)
    *said, little = budget.spent(settings, tmp_path, 300, lambda it: it, budget.time.monotonic(), is_kept=False)  # pyright: ignore
    assert isinstance(little, budget.Choice) and isinstance(much, budget.Choice)
    assert little.steps == 400
    assert (little.size or 0) < (much.size or 0)
    assert any("the data are read 4 times" in line for line in said if isinstance(line, str))


def test_a_budget_that_is_over_before_the_first_step_is_refused(tmp_path: Path) -> None:
    settings = files.settings(tmp_path, train={"steps": None, "budget": "0.1s"})
    with pytest.raises(ConfigError, match="is over before the first step"):
        list(prepare(settings))


def test_steps_fill_the_time_and_no_more(tmp_path: Path) -> None:
    settings = files.settings(tmp_path)
    tried = budget.Tried(trial(0.5), 1.2, settings, 128, 1e9)
    steps = tried.steps_in(1000.0)
    assert 1.2 * plan.run_seconds(tried.trial, settings, steps) <= 1000
    assert 1.2 * plan.run_seconds(tried.trial, settings, steps + 1) > 1000


def test_a_real_run_ends_within_its_budget_and_its_choice_holds_for_the_resume(tmp_path: Path) -> None:
    began = budget.time.monotonic()
    settings = files.settings(tmp_path, train={"steps": None, "budget": "9s"})
    steps = [event for event in session(settings, until=3) if isinstance(event, Step)]
    assert len(steps) == 3
    kept = json.loads((tmp_path / "out" / "choice.json").read_text())
    assert kept["size"] is None and kept["steps"] > 3
    ended = [event for event in session(settings, Resume(is_wanted=True)) if isinstance(event, Step)]
    assert [step.number for step in ended] == list(range(4, kept["steps"] + 1))
    assert budget.time.monotonic() - began < 12
    resolved = load(RunFile, tmp_path / "out" / "run.toml")
    assert resolved.train.budget == "" and resolved.train.steps == kept["steps"]
    other = load(RunFile, tmp_path / "run.toml", ("train.budget=1h",))
    with pytest.raises(RefusedError, match="was '9s' when this run was planned, is '1h'"):
        list(session(other, Resume(is_wanted=True)))


def test_a_new_model_without_a_size_gets_one(tmp_path: Path) -> None:
    settings = files.settings(tmp_path, model=OPEN, train={"steps": None, "budget": "30s"})
    *_, work = prepare(settings)
    assert isinstance(work, Work)
    assert work.settings.model.size == 2, "few texts carry no more than the smallest"
    rows = work.stream.facts().rows
    assert work.steps * work.batch <= 4 * rows
