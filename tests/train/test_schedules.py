"""What each schedule makes of the rate, against closed forms and Transformers' own."""

import math

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from hanlin.core.errors import ConfigError
from hanlin.core.plugins import find, names
from hanlin.core.settings import parse
from hanlin.train.schedules import Schedule

FOLDER = "hanlin.train.schedules"


def factors(use: str, steps: int, **settings: float | str) -> list[float]:
    schedule: Schedule = parse(find(FOLDER, use).Schedule, settings)
    return [schedule.factor(step, steps) for step in range(1, steps + 1)]


@pytest.mark.parametrize("use", names(FOLDER))
def test_the_rate_rises_in_equal_steps_and_reaches_its_height(use: str) -> None:
    assert factors(use, 100, warmup=4)[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors(use, 100, warmup=0.04) == factors(use, 100, warmup=4)
    assert factors(use, 100, warmup=0)[0] == 1.0


@pytest.mark.parametrize("use", names(FOLDER))
@pytest.mark.parametrize("steps", [1, 2, 3, 17])
@pytest.mark.parametrize("warmup", [0, 0.5, 1, 100])
def test_every_step_moves_and_none_too_far(use: str, steps: int, warmup: float) -> None:
    assert all(0 < factor <= 1 for factor in factors(use, steps, warmup=warmup))


@pytest.mark.parametrize(
    ("use", "theirs"), [("cosine", get_cosine_schedule_with_warmup), ("linear", get_linear_schedule_with_warmup)]
)
def test_the_way_down_is_that_of_transformers(use: str, theirs: object) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = theirs(optimiser, 10, 50)  # pyright: ignore[reportCallIssue]
    expected = []
    for _ in range(50):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    # Theirs counts the steps of its warm-up from 0, at which nothing is learnt.
    assert factors(use, 50, warmup=10, floor=0.0)[10:] == pytest.approx(expected[10:], abs=1e-12)


def test_the_floor_is_where_the_way_down_ends() -> None:
    for use in ("cosine", "linear", "wsd"):
        way = factors(use, 1000, warmup=0, floor=0.25)
        assert way == sorted(way, reverse=True)
        assert 0.25 < way[-1] < 0.26
    assert factors("constant", 10, warmup=0) == [1.0] * 10


def test_the_middle_of_a_cosine_is_half_way_between_height_and_floor() -> None:
    assert factors("cosine", 100, warmup=0, floor=0.2)[50] == pytest.approx(0.6)


def test_warm_stable_down_in_both_shapes() -> None:
    line = factors("wsd", 100, warmup=0.1, cooldown=0.4, shape="linear")
    root = factors("wsd", 100, warmup=0.1, cooldown=0.4, shape="sqrt")
    assert line[9:61] == root[9:61] == [1.0] * 52
    assert line[61:] == pytest.approx([1 - done / 40 for done in range(1, 40)])
    assert root[61:] == pytest.approx([1 - math.sqrt(done / 40) for done in range(1, 40)])
    assert factors("wsd", 100, warmup=0, cooldown=0) == [1.0] * 100
    assert factors("wsd", 100, warmup=0, cooldown=40) == factors("wsd", 100, warmup=0, cooldown=0.4)


def test_a_floor_above_the_height_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="floor"):
        factors("cosine", 10, floor=1.5)
