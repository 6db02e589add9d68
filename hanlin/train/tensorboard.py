"""Steps in, event files for TensorBoard out: `tensorboard --logdir RUN/tensorboard`."""

import math
from pathlib import Path

from tensorboardX import SummaryWriter

from hanlin.core.errors import StoreError
from hanlin.train.step import Step, Validation

CURVES = ("loss", "rate", "gradient_norm")


class Board:
    """One run's event file; numbers that are none are left out, notes and samples go under text."""

    def __init__(self, folder: Path, begin: int | None = None) -> None:
        """Open a new event file in the folder.

        Args:
            folder: made if it is not there.
            begin: the first step of a resumed run: what earlier files say of it and later ones is void.

        Raises:
            StoreError: the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = SummaryWriter(str(folder), purge_step=begin, flush_secs=10)
        except OSError as error:
            raise StoreError(f"{folder} cannot be written: {error.strerror}", "choose another with out=…") from None

    def add(self, step: Step) -> None:
        """All figures of a step, those of its validation under validation/."""
        values = {name: getattr(step, name) for name in CURVES}
        values |= {f"figures/{name}": value for name, value in step.figures.items()}
        if step.seconds:
            values["tokens_per_second"] = step.tokens / step.seconds
            values["operations_per_second"] = step.operations / step.seconds
            values["waiting_share"] = step.waiting_seconds / step.seconds
        if step.peak_share is not None:
            values["peak_share"] = step.peak_share
        if step.validation:
            values |= _validation(step.validation)
        for name, value in values.items():
            if math.isfinite(value):
                self._writer.add_scalar(name, value, step.number)
        if step.sample is not None:
            self._writer.add_text("sample", _quoted(step.sample), step.number)
        for note in step.notes:
            self._writer.add_text("notes", note, step.number)

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()


def _validation(found: Validation) -> dict[str, float]:
    values = {"validation/loss": found.loss}
    if found.bits_per_byte is not None:
        values["validation/bits_per_byte"] = found.bits_per_byte
    return values | {f"validation/{name}": value for name, value in found.figures.items()}


def _quoted(text: str) -> str:
    """TensorBoard reads text as Markdown: four spaces keep a sample as it was written."""
    return "\n".join(f"    {line}" for line in text.splitlines())
