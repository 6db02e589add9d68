"""All cores, unless fewer are faster; a resumed run keeps its number."""

from pathlib import Path

import pytest
import torch

from hanlin.train import threads
from hanlin.train.threads import choose_threads
from train import tiny


@pytest.fixture(autouse=True)
def _restored() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_one_thread_is_taken_where_several_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "allowed_cores", lambda: type("Cores", (), {"count": 4}))
    monkeypatch.setattr(threads, "_seconds", lambda work, batch, count: {4: 0.5, 1: 0.1}[count])
    work = tiny.work(tmp_path)
    assert choose_threads(work) == "1 thread: 5.0 times as fast here and now as 4, on which train.threads=4 insists"
    assert torch.get_num_threads() == work.identity["threads"] == 1


def test_all_cores_are_taken_where_they_pay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "allowed_cores", lambda: type("Cores", (), {"count": 2}))
    monkeypatch.setattr(threads, "_seconds", lambda work, batch, count: {2: 0.1, 1: 0.15}[count])
    assert choose_threads(tiny.work(tmp_path)) == ""
    assert torch.get_num_threads() == 2


def test_the_users_number_and_a_resumed_runs_are_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_seconds", lambda *_: pytest.fail("a trial"))
    assert choose_threads(tiny.work(tmp_path / "a", train={"threads": 3})) == "3 threads, as asked"
    assert torch.get_num_threads() == 3
    assert choose_threads(tiny.work(tmp_path / "b"), before=2) == ""
    assert torch.get_num_threads() == 2


def test_the_trial_is_of_the_layers_whatever_the_objective_needs_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "allowed_cores", lambda: type("Cores", (), {"count": 2}))
    work = tiny.work(tmp_path)
    monkeypatch.setattr(type(work.settings.objective), "loss", lambda *_: pytest.fail("gathered comes first"))
    choose_threads(work)
    assert torch.get_num_threads() in (1, 2)
    assert all(weight.grad is None for weight in work.learner.learning().values())


def test_a_run_of_which_only_the_head_learns_can_be_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "allowed_cores", lambda: type("Cores", (), {"count": 2}))
    model = {"frozen": ["embed", "layers*", "norm*"], "has_tied_head": False}
    work = tiny.work(tmp_path, model=model)
    assert list(work.learner.learning()) == ["network.unembed.weight"]
    choose_threads(work)
    assert torch.get_num_threads() in (1, 2)
