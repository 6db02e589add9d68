"""The loop: what it yields, what it keeps, and that stopping it costs nothing."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hanlin.core.errors import CapacityError, DataError, RefusedError
from hanlin.data.batch import Batch
from hanlin.data.stream import Cursor, Stream
from hanlin.train import checkpoint, loop, save
from hanlin.train.loop import fit
from hanlin.train.objective import Pupil, Tally
from hanlin.train.save import Saver, fill
from hanlin.train.work import Work
from train import tiny


def losses(work: Work, until: int | None = None) -> list[float]:
    return [step.loss for step in fit(work, until)]


def weights(work: Work) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in work.learner.learning().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_falls_and_every_step_tells_what_it_took(tmp_path: Path) -> None:
    steps = list(fit(tiny.work(tmp_path, train={"steps": 60})))
    assert [step.number for step in steps] == list(range(1, 61))
    assert steps[-1].loss < 0.6 * steps[0].loss
    assert steps[-1].stop == "steps"
    assert all(step.tokens == 4 * 32 and 0 < step.graded <= step.tokens and step.operations > 0 for step in steps)
    assert all(0 <= step.waiting_seconds <= step.seconds for step in steps)
    found = [step.validation for step in steps if step.validation]
    assert len(found) == 10
    assert found[-1].is_best
    assert found[-1].bits_per_byte is not None


def test_bits_per_byte_is_the_loss_over_the_bytes_of_the_text(tmp_path: Path) -> None:
    work = tiny.work(tmp_path, train={"steps": 6})
    found = next(step.validation for step in fit(work) if step.validation)
    assert found is not None
    assert work.validation is not None
    tokens = characters = 0
    rows = work.validation.facts().rows
    for batch, _ in work.validation.batches():
        take = min(rows, batch.rows)
        graded = batch.targets[:take][batch.weights[:take] > 0].tolist()
        tokens += len(graded)
        characters += sum(len(work.pupil.tokenizer.token_bytes(token)) for token in graded if token != batch_end(work))
        rows -= take
        if rows <= 0:
            break
    assert found.bits_per_byte == pytest.approx(found.loss * tokens / characters / math.log(2))


def batch_end(work: Work) -> int:
    return work.pupil.tokenizer.eos[0]


@pytest.mark.parametrize("use", ["adamw", "muon"])
def test_accumulated_passes_equal_one_pass(tmp_path: Path, use: str) -> None:
    options = {"train": {"optimiser": {"use": use}, "steps": 5}}
    whole, parts = tiny.work(tmp_path / "a", rows=4, **options), tiny.work(tmp_path / "b", rows=1, **options)
    assert losses(whole) == pytest.approx(losses(parts), rel=1e-5)
    for one, other in zip(weights(whole).values(), weights(parts).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 if use == "adamw" else 5e-5)  # Muon magnifies


@pytest.mark.parametrize("options", [{}, {"optimiser": {"use": "muon"}, "ema": 0.9}])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path: Path, options: dict) -> None:
    whole = tiny.work(tmp_path / "whole", train=options)
    expected = losses(whole)
    for stop in (1, 4, 7, 11):
        first = tiny.work(tmp_path / str(stop), train=options)
        begun = losses(first, until=stop)
        again = tiny.work(tmp_path / str(stop), train=options)
        again.state = Saver(again).restore()
        assert again.state.step == stop
        assert begun + losses(again) == expected
        assert same(weights(again), weights(whole))
        assert again.mean is None or same(again.mean.weights, whole.mean.weights)


def blanks(work: Work, monkeypatch: pytest.MonkeyPatch, steps: range) -> None:
    """Have nothing be graded in some batches, counted from 0."""
    real = Stream.batches

    def batches(self: Stream, cursor: Cursor | None = None) -> Iterator[tuple[Batch, Cursor]]:
        for batch, after in real(self, cursor):
            is_blank = self is work.stream and after.row // self.rows - 1 in steps
            yield (replace(batch, weights=torch.zeros_like(batch.weights)) if is_blank else batch), after

    monkeypatch.setattr(Stream, "batches", batches)


def test_a_batch_without_anything_graded_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tiny.work(tmp_path)
    blanks(work, monkeypatch, range(2, 4))
    steps = list(fit(work))
    assert [step.number for step in steps if step.tokens] == list(range(1, 13))
    assert [(step.number, step.notes) for step in steps if step.notes] == [
        (2, ("a batch of 4 rows is passed over: nothing in it is graded",))
    ] * 2
    assert work.state.tokens == 12 * 4 * 32


def test_batch_after_batch_without_anything_graded_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tiny.work(tmp_path)
    blanks(work, monkeypatch, range(99))
    with pytest.raises(DataError, match="step 1: nothing is graded in 17 batches of 4 rows"):
        list(fit(work))


def test_a_spike_goes_back_to_the_checkpoint_at_half_the_rate_without_that_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tiny.work(tmp_path)
    real, calls = type(work.settings.objective).loss, []

    def once(self: object, pupil: Pupil, batch: Batch) -> Tally:
        calls.append(1)
        tally = real(self, pupil, batch)
        return tally._replace(total=tally.total * math.nan) if len(calls) == 6 else tally

    monkeypatch.setattr(type(work.settings.objective), "loss", once)
    monkeypatch.setattr(loop, "_looked_at", lambda _, step: step)
    steps = list(fit(work))
    told = [step for step in steps if step.notes]
    assert len(told) == 1
    assert "step 6 diverged: back to step 4, at 0.5 of the rate" in told[0].notes[0]
    assert [step.number for step in steps if step.tokens] == [1, 2, 3, 4, 5, *range(5, 13)]
    assert work.state.rate_factor == 0.5
    assert work.state.setbacks == 1


def test_a_run_that_always_diverges_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tiny.work(tmp_path)
    lost = Tally(torch.tensor(math.nan, requires_grad=True), 1.0)
    monkeypatch.setattr(type(work.settings.objective), "loss", lambda *_: lost)
    with pytest.raises(RefusedError, match="diverged 6 times"):
        list(fit(work))


def test_patience_stops_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    work = tiny.work(tmp_path, train={"steps": 400, "lr": 1e-20, "patience": 2, "validate_every": 1})
    steps = list(fit(work))
    assert steps[-1].stop == "patience"
    assert len(steps) == 3


def test_only_the_last_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    list(fit(tiny.work(tmp_path, train={"steps": 20, "save_every": 2, "keep": 2, "validate_every": 10})))
    assert [path.name for path in checkpoint.listed(tmp_path)] == ["step-00000018", "step-00000020"]
    assert checkpoint.best(tmp_path) == tmp_path / "checkpoints" / "step-00000020"


def test_a_checkpoint_that_was_cut_short_is_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list(fit(tiny.work(tmp_path, train={"keep": 9}), until=8))
    newest = tmp_path / "checkpoints" / "step-00000008"
    file = newest / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.state.step == 6
    assert "step-00000008 is not used" in caplog.text
    assert "cut short or damaged" in caplog.text
    (tmp_path / "checkpoints" / "step-00000006" / "state.json").write_text("{")
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.state.step == 4


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tiny.work(tmp_path)
    list(fit(work, until=4))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(save, "save_folder", full)
    with pytest.raises(CapacityError, match="the earlier ones are untouched"):
        list(fit(work, until=8))
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.state.step == 4
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    list(fit(tiny.work(tmp_path), until=4))
    other = tiny.work(tmp_path, model={"width": 64})
    saved = checkpoint.latest(tmp_path)
    assert saved is not None
    with pytest.raises(Exception, match="it is of another run"):
        fill(other, saved)


def test_a_checkpoint_holds_no_pickle_and_is_a_model_that_loads(tmp_path: Path) -> None:
    from hanlin.model.load import load

    work = tiny.work(tmp_path)
    list(fit(work, until=4))
    folder = tmp_path / "checkpoints" / "step-00000004"
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".safetensors", ".jinja", ".txt"}
    loaded = load(folder)
    tokens = torch.tensor([[1, 2, 3]])
    work.pupil.network.eval()
    assert torch.equal(loaded.network(tokens), work.pupil.network(tokens))
    assert json.loads((folder / "state.json").read_text())["state"]["step"] == 4


def test_samples_and_validations_change_nothing(tmp_path: Path) -> None:
    often = losses(tiny.work(tmp_path / "a", train={"validate_every": 1, "sample_every": 1}))
    never = losses(tiny.work(tmp_path / "b", train={"validate_every": 1000}))
    assert often == never


def test_rows_dealt_to_two_processes_are_the_batch(tmp_path: Path) -> None:
    from hanlin.train.rows import dealt, graded

    batch, _ = next(tiny.work(tmp_path).stream.batches())
    parts = [dealt(batch, rank, 2) for rank in range(2)]
    assert sum(graded(part) for part in parts) == graded(batch)
    assert torch.equal(torch.stack([parts[0].tokens, parts[1].tokens], 1).flatten(0, 1), batch.tokens)
    assert replace(batch).rows == 4
