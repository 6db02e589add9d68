"""One run on several processes: the same losses as on one, whoever starts them, and whoever of them dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hanlin.cli.train.on_ray import train_on_ray
from hanlin.core.errors import ConfigError
from hanlin.train.crew import Crew
from hanlin.train.metrics import read
from hanlin.train.prepare import check_crew
from train import tiny

RUN = """
name = "scale"

[model]
family = "qwen3"
width = 32
layers = 2
heads = 2

[tokenizer]
vocabulary = 300

[data]
train = "{text}"
context = 32

[train]
steps = 24
batch = 5
rows = 2
lr = 0.003
dtype = "float32"
save_every = 4
validate_every = 8

[gate]
allow = ["overlap", "duplicates"]
"""
WORDS = "the cat sat on a mat dog ran to sea one two three four five sun moon star hill tree bird".split()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, a run file and a home of its own."""
    folder = tmp_path_factory.mktemp("scale")
    draw = np.random.default_rng(0)
    rows = [{"text": " ".join(draw.choice(WORDS, size=draw.integers(8, 40)))} for _ in range(200)]
    (folder / "text.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (folder / "run.toml").write_text(RUN.format(text=folder / "text.jsonl"), encoding="utf-8")
    return folder


def start(home: Path, out: str, *words: str, file: Path | None = None, verb: str = "train") -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", "from hanlin.cli.main import main; main()", verb, str(file or home / "run.toml")]
    env = {**os.environ, "HANLIN_HOME": str(home / "home"), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    argv += [f'out="{home / out}"', *words]
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def train(home: Path, out: str, *words: str, code: int = 0, file: Path | None = None, verb: str = "train") -> str:
    child = start(home, out, *words, file=file, verb=verb)
    try:
        told, _ = child.communicate(timeout=150)
    finally:
        child.kill()
    assert child.returncode == code, told
    return told


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in read(run)]


def validated(run: Path) -> list[float]:
    return [line["validation"]["loss"] for line in read(run) if line["validation"]]


@pytest.fixture(scope="module")
def alone(home: Path) -> Path:
    """The run on one process."""
    train(home, "alone")
    return home / "alone"


def test_a_run_goes_from_divided_weights_to_one_process_to_two_copies_as_if_it_had_stayed_alone(
    home: Path, alone: Path
) -> None:
    told = train(home, "there", "--workers", "2", "train.sharding=fsdp", "--until", "8")
    assert told.count("graded") == 1  # only one of them speaks
    assert losses(home / "there") == pytest.approx(losses(alone)[:8], rel=1e-4)
    train(home, "there", "--resume", "--until", "16")
    train(home, "there", "--resume", "--workers", "2")
    check_same(home / "there", alone)


def test_a_run_goes_from_two_copies_to_divided_weights_as_if_it_had_stayed_alone(home: Path, alone: Path) -> None:
    train(home, "back", "--workers", "2", "--until", "12")
    assert losses(home / "back") == pytest.approx(losses(alone)[:12], rel=1e-4)
    train(home, "back", "--resume", "--workers", "2", "train.sharding=fsdp")
    check_same(home / "back", alone)


def test_an_adapter_is_learnt_with_divided_weights_as_with_whole_ones(home: Path, alone: Path) -> None:
    begin, end = RUN.index("[model]"), RUN.index("[data]")
    use = f'[model]\nuse = "{alone / "model"}"\n\n[adapter]\nrank = 4\n\n'
    file = home / "adapter.toml"
    file.write_text((RUN[:begin] + use + RUN[end:]).format(text=home / "text.jsonl"), encoding="utf-8")
    train(home, "adapter", "train.steps=4", file=file)
    train(home, "adapters", "train.steps=4", "--workers", "2", "train.sharding=fsdp", file=file)
    assert losses(home / "adapters") == pytest.approx(losses(home / "adapter"), rel=1e-4)
    name = Path("model") / "adapter_model.safetensors"
    one, other = (load_file(home / run / name) for run in ("adapter", "adapters"))
    assert all(np.abs(one[key] - other[key]).max() < 1e-3 for key in (*one, *other))


def test_a_budget_is_measured_by_all_workers_together(home: Path) -> None:
    file = home / "budget.toml"
    limits = 'budget = "20s"\nvalidate_every = 100000'
    run = RUN.replace("steps = 24", limits).replace("validate_every = 8\n", "").replace("width = 32\n", "width = 128\n")
    file.write_text(run.format(text=home / "text.jsonl"), encoding="utf-8")
    told = train(home, "budget", "--workers", "2", file=file)
    steps = json.loads((home / "budget" / "choice.json").read_text("utf-8"))["steps"]
    assert f"within 20s: {steps:,} steps" in told and told.count("within 20s") == 1
    assert [line["number"] for line in read(home / "budget")] == list(range(1, steps + 1))


def test_a_plan_for_two_workers_is_made_by_two_and_held_against_two(home: Path) -> None:
    told = train(home, "planned", "--workers", "2", verb="plan")
    assert told.count("for each of 2 workers") == 1
    assert not (home / "planned" / "checkpoints").exists()
    told = train(home, "planned", "--workers", "2")
    assert "memory_bytes: predicted" in told and "seconds: predicted" in told
    kept = json.loads((home / "planned" / "plan.json").read_text("utf-8"))
    assert (kept["by"], kept["workers"], kept["predicted"]["workers"]) == ("trial", 2, 2)
    assert all(0 < line["peak_share"] < 1.5 for line in read(home / "planned"))


def test_what_is_wrong_with_a_planned_run_is_said_once(home: Path) -> None:
    told = train(home, "wrong", "train.batch=1", "--workers", "2", verb="plan", code=2)
    assert told.count("too few rows for 2 workers") == 1


def check_same(run: Path, alone: Path) -> None:
    """Losses on both kinds of data, and the names and shapes of the weights."""
    assert losses(run) == pytest.approx(losses(alone), rel=1e-4)
    assert validated(run)[-1] == pytest.approx(validated(alone)[-1], rel=1e-4)
    one, other = (load_file(it / "model" / "model.safetensors") for it in (run, alone))
    assert one.keys() == other.keys()
    assert all(one[name].shape == other[name].shape for name in one)
    assert all(np.abs(one[name] - other[name]).max() < 1e-3 for name in one)


def workers_of(launcher: int) -> list[int]:
    """Processes that a launcher started, in order."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == launcher:
                found.append(int(entry.name))
    return sorted(found)


def wait_for_step(run: Path, child: subprocess.Popen[str], step: int) -> None:
    end = time.monotonic() + 90
    while len(losses(run)) < step and child.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for workers in /proc")
def test_a_worker_that_is_killed_is_told_and_the_run_goes_on_as_if_nothing_had_been(home: Path, alone: Path) -> None:
    child = start(home, "killed", "--workers", "2")
    wait_for_step(home / "killed", child, 5)
    os.kill(workers_of(child.pid)[1], signal.SIGKILL)
    told, _ = child.communicate(timeout=150)
    assert child.returncode == 0, told
    assert "worker 1 of 2 was killed by SIGKILL; going on from the last checkpoint (1 of 3 times)" in told
    assert losses(home / "killed") == pytest.approx(losses(alone), rel=1e-4)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for workers in /proc")
def test_ctrl_c_saves_and_stops_all_workers(home: Path) -> None:
    child = start(home, "asked", "--workers", "2", "train.steps=5000", "train.save_every=5000")
    wait_for_step(home / "asked", child, 3)
    workers = workers_of(child.pid)
    child.send_signal(signal.SIGINT)
    told, _ = child.communicate(timeout=60)
    assert child.returncode == 130, told
    step = len(losses(home / "asked"))
    assert f"stopped after step {step} of 5000, which is saved" in told
    assert (home / "asked" / "checkpoints" / f"step-{step:08d}").is_dir()
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_mistake_is_told_once_and_not_tried_again(home: Path) -> None:
    told = train(home, "muon", "--workers", "2", "train.sharding=fsdp", 'train.optimiser={use="muon"}', code=2)
    assert told.count("Muon turns whole matrices") == 1
    assert "going on" not in told


@pytest.mark.parametrize(
    ("sections", "what", "fix"),
    [
        ({"train": {"batch": 1}}, "train.batch = 1 has too few rows for 2 workers", "train.batch=2, or --workers 1"),
        ({"train": {"sharding": "fsdp", "ema": 0.9}}, "keeps no running mean", "train.ema=0"),
        ({"train": {"sharding": "fsdp"}, "objective": {"use": "dpo"}}, "dpo reads rows", 'train.sharding="ddp"'),
    ],
)
def test_what_workers_cannot_share_is_refused_with_the_fix(tmp_path: Path, sections: dict, what: str, fix: str) -> None:
    settings = tiny.settings(tmp_path, **sections)
    with pytest.raises(ConfigError, match=what) as caught:
        check_crew(settings, settings.train.batch, Crew(0, 2))
    assert fix in caught.value.fix
    check_crew(settings, settings.train.batch, Crew())


def test_ray_trains_as_one_process_does(home: Path, alone: Path) -> None:
    pytest.importorskip("ray.train.torch")
    train(home, "ray", "--on", "ray", "--workers", "2")
    check_same(home / "ray", alone)


def test_ray_that_is_not_there_is_told_with_the_fix(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny.settings(home / "nowhere")
    with pytest.raises(ConfigError, match="--on slurm is no place") as caught:
        train_on_ray(settings, {"workers": 2}, "slurm")
    assert caught.value.fix == "--on ray, or --on ray://HOST:PORT"
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        train_on_ray(settings, {"workers": 2}, "ray")
    assert caught.value.fix == "pip install 'hanlin[ray]'"
