"""Less memory or more speed, the same numbers."""

from pathlib import Path

import pytest
import torch

from hanlin.train.compiled import compile_where_it_pays
from hanlin.train.loop import fit
from train import tiny


def losses(out: Path, **sections: object) -> list[float]:
    return [step.loss for step in fit(tiny.work(out, **sections))]


def test_activations_computed_again_change_no_loss(tmp_path: Path) -> None:
    assert losses(tmp_path / "a", model={"is_checkpointed": True}) == losses(tmp_path / "b")


def test_a_compiler_that_fails_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no C++ compiler\nand much more")

    monkeypatch.setattr(torch, "compile", lambda plain, **_: broken)
    work = tiny.work(tmp_path, train={"compile": "on"})
    assert compile_where_it_pays(work) == "not compiled: no C++ compiler"
    assert len(list(fit(work))) == 12


def test_a_compiled_pass_that_says_something_else_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda plain, **_: lambda *given: 1.5 * plain(*given))
    work = tiny.work(tmp_path / "a", train={"compile": "on"})
    assert compile_where_it_pays(work).startswith("not compiled: its loss differs by")
    assert [step.loss for step in fit(work)] == losses(tmp_path / "b")


def test_a_short_run_is_not_compiled_and_says_so(tmp_path: Path) -> None:
    assert "would not earn it back" in compile_where_it_pays(tiny.work(tmp_path, train={"compile": "auto"}))
    assert compile_where_it_pays(tiny.work(tmp_path)) == ""
