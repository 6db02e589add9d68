"""How much to do in a given time: `train.budget = "20min"` in, the size of a new model and the number of steps out.

Two or three sizes are tried for a few seconds each, on the run's own rows. The size is the one whose tokens, as many as
the time allows, come nearest to 12 for each weight that multiplies (see `hanlin.train.size`); text is read at most four
times, beyond which it teaches little (https://arxiv.org/abs/2305.16264).

Several processes measure together, as they will train, and go by the leader's clock.
The choice is kept in the run's folder (choice.json) and holds for every resume of the run.
"""

import json
import math
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hanlin.core.errors import CapacityError, ConfigError, HanlinError, RefusedError
from hanlin.core.machine import allowed_memory
from hanlin.core.run import replacing
from hanlin.core.settings import Settings, parse
from hanlin.train import plan
from hanlin.train.crew import Crew
from hanlin.train.memory import unmade
from hanlin.train.settings import RunFile
from hanlin.train.size import TOKENS_PER_WEIGHT, multiplying
from hanlin.train.work import Work

NAME = "choice.json"
SPENT = 0.94
"""Share of the budget that is planned for: machines are not always as fast as during the measurement."""
MEASURED_SECONDS = 20.0
MOST_SIZES = 3
MOST_EPOCHS = 4
LEAST_BYTES = 12
"""Of memory for each weight: itself, its gradient and its momentum are the least there are."""
LEAST_SIZE, MOST_SIZE = 2, 64
"""One layer cannot go on with what came before (https://arxiv.org/abs/2209.11895)."""
TIME = re.compile(r"\s*(?:([\d.]+)\s*h)?\s*(?:([\d.]+)\s*m(?:in)?)?\s*(?:([\d.]+)\s*s(?:ec)?)?\s*")


class Choice(Settings):
    """What a budget came to."""

    budget: str
    size: int | None
    """Of a new model; None where the run file says it."""
    steps: int


@dataclass(frozen=True)
class Tried:
    """A candidate that was measured."""

    trial: plan.Trial
    factor: float
    """What earlier runs correct times by."""
    settings: RunFile
    batch_tokens: int
    epoch_steps: float
    """Steps once through the data."""

    def steps_in(self, seconds: float) -> int:
        """The most steps that fit into so many seconds, by bisection."""
        few, many = 0, 1
        while self._seconds(many) <= seconds:
            few, many = many, 2 * many
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (middle, many) if self._seconds(middle) <= seconds else (few, middle)
        return few

    def most_steps(self) -> int:
        """As many as the data bear."""
        return max(1, int(MOST_EPOCHS * self.epoch_steps))

    def _seconds(self, steps: int) -> float:
        return self.factor * plan.run_seconds(self.trial, self.settings, steps)


def seconds_of(text: str) -> float:
    """ "20min", "2h", "90s", "1h30min" in seconds.

    Raises:
        ConfigError: it is none of these.
    """
    found = TIME.fullmatch(text)
    try:
        parts = [float(part or 0) for part in found.groups()] if found else []
    except ValueError:
        parts = []
    total = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not total:
        raise ConfigError(f"train.budget = {text!r} is no length of time", 'write "20min", "2h", "90s" or "1h30min"')
    return total


def check(settings: RunFile) -> None:
    """A budget that can be read, and that nothing else contradicts.

    Raises:
        ConfigError: it cannot, or steps, epochs or tokens are given, too.
    """
    setup = settings.train
    if not setup.budget:
        return
    seconds_of(setup.budget)
    for name in ("steps", "epochs", "tokens"):
        if getattr(setup, name) is not None:
            raise ConfigError(f"train.budget and train.{name} both say how long", "keep one of them")


def spent(
    settings: RunFile,
    run: Path,
    vocabulary: int,
    make: Callable[[RunFile], Work],
    began: float,
    *,
    is_kept: bool,
    crew: Crew = Crew(),
) -> Iterator[str | Choice]:
    """Sentences about what is measured, and the choice as the last item.

    Args:
        make: a work for some settings that is thrown away.
        began: the time.monotonic() at which the run began.
        is_kept: take the choice that the run's folder has, if it has one.
        crew: all of its processes come here together.

    Raises:
        ConfigError: the time is over before the first step.
        RefusedError: the choice that is kept was made for another budget.
    """
    kept = crew.led(lambda: read(run) if is_kept else None)
    if kept is not None and kept.budget != settings.train.budget:
        raise RefusedError(
            f"train.budget was {kept.budget!r} when this run was planned, is {settings.train.budget!r}",
            "undo that, or begin anew with --restart",
        )
    if kept is None:
        kept = yield from _choose(settings, vocabulary, make, began, crew)
        if crew.leads:
            run.mkdir(parents=True, exist_ok=True)
            with replacing(run / NAME) as sink:
                sink.write(kept.model_dump_json(indent=1).encode())
    else:
        yield f"the budget of {kept.budget} as it was measured before: {_told(kept)}"
    yield kept


def with_choice(settings: RunFile, choice: Choice) -> RunFile:
    """The settings as if size and steps had been written in the run file."""
    model = settings.model if choice.size is None else settings.model.model_copy(update={"size": choice.size})
    train = settings.train.model_copy(update={"steps": choice.steps, "budget": ""})
    return settings.model_copy(update={"model": model, "train": train})


def read(run: Path) -> Choice | None:
    """The choice in a run's folder; None without one, or where it is damaged."""
    try:
        return parse(Choice, json.loads((run / NAME).read_text("utf-8")))
    except (OSError, ValueError, TypeError, HanlinError):
        return None


def hand_over(one: Path, other: Path) -> None:
    """Let the run in another folder spend its budget as this one's would have."""
    if (one / NAME).is_file():
        other.mkdir(parents=True, exist_ok=True)
        shutil.copy(one / NAME, other)


def _choose(
    settings: RunFile, vocabulary: int, make: Callable[[RunFile], Work], began: float, crew: Crew
) -> Iterator[str]:
    shape, budget = settings.model, settings.train.budget
    is_open = not (shape.use or shape.size or shape.width or shape.layers)
    ends = began + SPENT * seconds_of(budget)

    def left() -> float:
        return crew.led(lambda: ends - time.monotonic())

    if not is_open:
        tried = measured(make(_short(settings)), MEASURED_SECONDS / 2)
        steps = min(tried.steps_in(left()), tried.most_steps())
        choice = Choice(budget=budget, size=None, steps=_some(steps, budget, began))
        yield from _said(choice, tried, ends)
        return choice
    weights = crew.led(lambda: sizes(settings, vocabulary))
    found: dict[int, Tried] = {}
    size = min(weights)
    while size not in found:
        found[size] = measured(make(_short(_sized(settings, size))), MEASURED_SECONDS / MOST_SIZES / 2)
        yield f"size {size}, {weights[size] / 1e6:,.2f} million weights: {_speed(found[size]):,.0f} tokens/s"
        seconds = left()
        pool = weights if len(found) < MOST_SIZES else found
        size = min(pool, key=lambda size: _far(size, weights, found, seconds))
    tried = found[size]
    steps = min(tried.steps_in(left()), tried.most_steps())
    choice = Choice(budget=budget, size=size, steps=_some(steps, budget, began))
    per_weight = choice.steps * tried.batch_tokens / weights[size]
    yield from _said(choice, tried, ends, f", {per_weight:.1f} for each weight")
    return choice


def sizes(settings: RunFile, vocabulary: int) -> dict[int, int]:
    """The sizes that the memory can hold, and how many of their weights multiply.

    Raises:
        CapacityError: none.
    """
    free, found = allowed_memory().available_bytes, {}
    for size in range(LEAST_SIZE, MOST_SIZE + 1):
        # One layer tells of all the others: to make them all would take seconds, even without their weights.
        shape = settings.model.model_copy(update={"size": size, "layers": 1})
        network = unmade(settings.model_copy(update={"model": shape}), vocabulary)
        head = network.embed.weight.numel()
        weights = head + size * (multiplying(network) - head)
        if LEAST_BYTES * weights > free:
            break
        found[size] = weights
    if not found:
        raise CapacityError(f"not even the smallest model fits into {free / 1e9:,.1f} GB of memory", "free some")
    return found


def measured(work: Work, seconds: float) -> Tried:
    """Train a few steps of a work that is thrown away."""
    found = plan.trial(work, 0.0, seconds)
    trial, factor = work.crew.led(lambda: (found, plan.correction("seconds", work)[0]))
    return Tried(
        trial,
        factor,
        work.settings,
        work.batch * work.settings.data.context,
        work.stream.facts().rows / work.batch,
    )


def _far(size: int, weights: dict[int, int], found: dict[int, Tried], seconds: float) -> float:
    """How far the tokens that a size could read are from those that suit it, as a ratio's logarithm."""
    near = min(found, key=lambda other: abs(math.log(weights[other] / weights[size])))
    tried = found[near]
    most = tried.most_steps() * tried.batch_tokens
    readable = seconds * _speed(tried) / slower(weights, found, near, size)
    return abs(math.log(max(1.0, min(most, readable)) / (TOKENS_PER_WEIGHT * weights[size])))


def slower(weights: dict[int, int], found: dict[int, Tried], near: int, size: int) -> float:
    """How many times longer a token takes at `size` than at `near`: a power of the weights, through two that were
    measured if there are two; else as if all work were products of matrices.
    """
    power = 1.0
    if len(found) > 1:
        other = min((it for it in found if it != near), key=lambda it: abs(math.log(weights[it] / weights[size])))
        power = math.log(_speed(found[near]) / _speed(found[other])) / math.log(weights[other] / weights[near])
    return (weights[size] / weights[near]) ** min(1.2, max(0.2, power))


def _speed(tried: Tried) -> float:
    """Tokens per second."""
    return tried.batch_tokens / statistics.median(tried.trial.step_seconds)


def _sized(settings: RunFile, size: int) -> RunFile:
    return settings.model_copy(update={"model": settings.model.model_copy(update={"size": size})})


def _short(settings: RunFile) -> RunFile:
    """With a number of steps, which a work needs to have."""
    return settings.model_copy(update={"train": settings.train.model_copy(update={"steps": 1000, "budget": ""})})


def _some(steps: int, budget: str, began: float) -> int:
    if steps < 1:
        took = time.monotonic() - began
        what = f"train.budget = {budget!r} is over before the first step: preparing and measuring took {took:.0f} s"
        raise ConfigError(what, "give it more, or say train.steps")
    return steps


def _said(choice: Choice, tried: Tried, ends: float, more: str = "") -> Iterator[str]:
    tokens = choice.steps * tried.batch_tokens
    yield f"within {choice.budget}: {_told(choice)}, {tokens:,} tokens{more}"
    if choice.steps == tried.most_steps():
        left = ends - time.monotonic() - tried._seconds(choice.steps)
        yield (
            f"the data are read {MOST_EPOCHS} times, more teaches little; {max(0.0, left):,.0f} s of the budget are "
            "left over, which more text would use"
        )


def _told(choice: Choice) -> str:
    size = "" if choice.size is None else f"size {choice.size}, "
    return f"{size}{choice.steps:,} steps"
