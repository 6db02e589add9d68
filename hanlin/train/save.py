"""What of a `Work` goes into a checkpoint, and back out of it."""

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from hanlin.core.errors import WeightsError
from hanlin.model.adapters import peft
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load
from hanlin.model.save import save_folder
from hanlin.train import checkpoint
from hanlin.train.pupil import save_head
from hanlin.train.shards import put
from hanlin.train.state import State
from hanlin.train.work import Work

EVERY_SECONDS = 120
"""Between checkpoints, where the run file has no number of steps."""


class Saver:
    """Saves and restores one run; remembers when it last did."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.saved = time.monotonic()

    def is_due(self, number: int) -> bool:
        """Whether a checkpoint belongs after this step."""
        every = self.work.settings.train.save_every
        if every:
            return number % every == 0
        return self.work.crew.led(lambda: time.monotonic() - self.saved > EVERY_SECONDS)

    def save(self) -> None:
        """Write a checkpoint of the work as it stands.

        Raises:
            CapacityError, StoreError: as `checkpoint.save`.
        """
        work, began = self.work, time.monotonic()
        moments = work.optimiser.state_dict()
        if work.shards is not None:
            moments = work.shards.gathered(moments)
        with work.whole():
            if work.crew.leads:
                checkpoint.save(
                    work.run,
                    work.state,
                    lambda folder: write_model(work, folder),
                    moments,
                    _tensors(work),
                    identity=work.identity,
                    keep=work.settings.train.keep,
                )
        work.crew.wait()
        self.saved = time.monotonic()
        work.save_seconds = self.saved - began

    def restore(self) -> State:
        """Put the last whole checkpoint's weights and optimiser back; returns where it stood.

        Raises:
            WeightsError: there is none.
        """
        saved = checkpoint.latest(self.work.run)
        if saved is None:
            raise WeightsError(f"{self.work.run} has no whole checkpoint", "start the run anew with --restart")
        fill(self.work, saved)
        return saved.state


@torch.no_grad()
def fill(work: Work, saved: checkpoint.Saved) -> None:
    """Weights, optimiser and running mean as they were.

    Raises:
        WeightsError: the checkpoint is of another model.
    """
    own = work.learner.learning()
    kept = {name.removeprefix("weight."): value for name, value in saved.tensors.items() if name.startswith("weight.")}
    if work.settings.adapter is None:
        network = load(saved.path, work.pupil.network.embed.weight.dtype).network
        kept |= {f"network.{name}": weight for name, weight in network.named_parameters()}
    for name, weight in own.items():
        if name not in kept or kept[name].shape != weight.shape:
            raise WeightsError(f"{saved.path} has no {name} as this run does", "it is of another run: use another out=")
        put(weight, kept[name])
    moments = dict(saved.optimiser)
    work.optimiser.load_state_dict(work.shards.scattered(moments) if work.shards else moments)
    if work.mean is not None:
        work.mean.load(
            {name.removeprefix("mean."): it for name, it in saved.tensors.items() if name.startswith("mean.")}
        )


def write_model(work: Work, folder: Path) -> None:
    """The model's files: a Hugging Face folder, or an adapter as PEFT has it; and the head, if there is one."""
    with work.shards.copied() if work.shards else nullcontext():
        _written(work, folder)


def _written(work: Work, folder: Path) -> None:
    if work.settings.adapter is None:
        save_folder(as_checkpoint(work), folder)
    else:
        peft.save(work.pupil.network, folder, work.settings.model.use, work.settings.adapter)
    save_head(work.pupil, work.settings, folder)


def as_checkpoint(work: Work) -> Checkpoint:
    """The model that learns as the model room knows it."""
    network = work.pupil.network
    if work.base is not None:
        return replace(work.base, network=network, quantised=None)
    family, tokenizer = work.settings.model.family, work.pupil.tokenizer
    return Checkpoint(network, network.config, family, tokenizer, _generation(work), work.run)


def _generation(work: Work) -> dict[str, object]:
    eos = work.pupil.tokenizer.eos
    return {"eos_token_id": eos[0] if len(eos) == 1 else list(eos)} if eos else {}


def _tensors(work: Work) -> dict[str, Tensor]:
    """What the model's files do not have: adapters' own weights, the head, the running mean."""
    is_small = work.settings.adapter is not None
    own = {
        f"weight.{name}": weight.detach().clone()
        for name, weight in work.learner.learning().items()
        if is_small or name.startswith("head.")
    }
    return own | {f"mean.{name}": value for name, value in (work.mean.weights if work.mean else {}).items()}
