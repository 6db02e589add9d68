"""Proof of exact resume on the user's own run: one copy goes through, another is killed and resumed."""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from hanlin.core.errors import RefusedError
from hanlin.core.machine import allowed_cores
from hanlin.train.budget import hand_over
from hanlin.train.checkpoint import listed
from hanlin.train.metrics import read
from hanlin.train.plan import existing
from hanlin.train.prepare import folder_of
from hanlin.train.settings import RunFile

STEPS = 6
TRIES = 5
PATIENCE_SECONDS = 600


def verify(settings: RunFile, run: Path, overrides: tuple[str, ...]) -> None:
    """Train `STEPS` steps twice, the second time killed half-way, and compare losses and weights bit for bit.

    Raises:
        RefusedError: they differ, or a copy of the run fails.
    """
    overrides = (*overrides, f"train.threads={settings.train.threads or allowed_cores().count}")
    with tempfile.TemporaryDirectory(prefix=".hanlin-", dir=existing(folder_of(settings).parent)) as folder:
        whole, broken = Path(folder) / "whole", Path(folder) / "broken"
        click.echo(f"training {STEPS} steps of {settings.name} without a break")
        _finish(_start(run, overrides, whole), whole)
        for _ in range(TRIES):
            if after := _killed(run, overrides, whole, broken):
                break
        else:
            raise RefusedError(
                f"{STEPS} steps of {settings.name} are over before they can be interrupted", "try it on a larger run"
            )
        click.echo(f"killed a second copy after step {after}; resuming it")
        _finish(_start(run, overrides, broken, "--resume"), broken)
        told = compare(whole, broken)
    if told:
        raise RefusedError(f"the resumed run is not the uninterrupted one: {told}", "report this with the run file")
    click.echo(f"exact: {STEPS} losses and all weights of both runs are equal bit for bit")


def compare(one: Path, other: Path) -> str:
    """What differs between two runs' losses and last checkpoints; "" if nothing does."""
    losses = [[(line["number"], line["loss"]) for line in read(run)] for run in (one, other)]
    for left, right in zip(*losses, strict=False):
        if left != right:
            return f"step {left[0]} has loss {left[1]!r} in one and {right[1]!r} in the other"
    if len(losses[0]) != len(losses[1]):
        return f"{len(losses[0])} steps in one and {len(losses[1])} in the other"
    ends = [listed(run)[-1] for run in (one, other)]
    for file in sorted(ends[0].rglob("*.safetensors")):
        twin = ends[1] / file.relative_to(ends[0])
        if not twin.is_file() or twin.read_bytes() != file.read_bytes():
            return f"{file.relative_to(ends[0])} after the last step"
    return ""


def _killed(run: Path, overrides: tuple[str, ...], whole: Path, broken: Path) -> int:
    """Begin a copy in `broken` and kill it half-way; the last step it told of, 0 if it was through before."""
    shutil.rmtree(broken, ignore_errors=True)
    broken.mkdir()
    hand_over(whole, broken)  # a budget is measured once, and spent alike by both
    child = _start(run, overrides, broken)
    _wait_for_step(child, broken, random.randint(1, STEPS - 2))
    child.kill()
    _, told = child.communicate()
    if child.returncode > 0:
        raise RefusedError(f"a copy of the run fails: {told.strip()[-400:]}", "mend the run first")
    return max((line["number"] for line in read(broken)), default=0) if child.returncode else 0


def _start(run: Path, overrides: tuple[str, ...], out: Path, *flags: str) -> subprocess.Popen[str]:
    code = "from hanlin.cli.main import main; main()"
    settings = (*overrides, f'out="{out}"', "train.save_every=2")
    argv = [sys.executable, "-c", code, "train", str(run), *settings, "--until", str(STEPS), *flags]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _finish(child: subprocess.Popen[str], out: Path) -> None:
    _, told = child.communicate()
    if child.returncode:
        raise RefusedError(f"a copy of the run in {out} fails: {told.strip()[-400:]}", "mend the run first")


def _wait_for_step(child: subprocess.Popen[str], out: Path, step: int) -> None:
    """Until the child has told this step, and then a part of another, so that it dies in the middle of something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while child.poll() is None and time.monotonic() < end:
        told = [line["seconds"] for line in read(out) if line["number"] >= step]
        if told:
            time.sleep(random.random() * min(told[-1], 1.0))
            return
        time.sleep(0.002)
