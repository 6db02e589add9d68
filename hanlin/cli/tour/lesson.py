"""What the training stages share: the texts they learn from, their run folders, and a run told as notes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.notes import Plot, Progress, Row
from hanlin.core.home import expanded
from hanlin.core.settings import parse
from hanlin.train.look import look_at_row
from hanlin.train.prepare import Resume
from hanlin.train.report.curves import Curve, drawn, picture
from hanlin.train.session import session
from hanlin.train.settings import RunFile
from hanlin.train.step import Step, Validation
from hanlin.train.validate import sample, validate
from hanlin.train.work import Work

AT = {
    "en": "step {number} of {steps}: loss {loss:.2f}, {speed:,.0f} tokens per second, {left:.0f} s left",
    "zh": "第 {number} 步，共 {steps} 步：损失 {loss:.2f}，每秒 {speed:,.0f} 个词元，还需 {left:.0f} 秒",
}
CURVE = {"en": "Loss of the training, step by step", "zh": "训练损失，逐步"}
NAMES = {"en": ("training", "held-out"), "zh": ("训练", "未见过的文字")}
OPENING = {"en": "ROMEO:\n", "zh": "春日\n李白\n"}
"""What the tiny model is to go on from."""


def corpus(guide: Guide, is_held: bool = False) -> Path:
    """What the tiny model learns from, in the tour's language; or the same kind of text that it never sees."""
    return text_file(f"{'plays' if guide.lang == 'en' else 'poems'}{'-held' if is_held else ''}.txt")


def text_file(name: str) -> Path:
    """A text that comes with the package."""
    return Path(str(files("hanlin.cli.tour").joinpath("texts", name)))


def folder(guide: Guide, name: str) -> Path:
    """The folder of one of the tour's training runs."""
    return expanded(guide.settings.out) / name


def tiny_tokenizer(guide: Guide) -> dict[str, Any]:
    """Which tokenizer the tiny model reads with: pieces of English words, or Chinese characters."""
    return {"kind": "bpe", "vocabulary": 1024} if guide.lang == "en" else {"kind": "characters", "vocabulary": 4096}


@dataclass(eq=False)
class Lesson:
    """A training run as the tour tells it, and what it keeps to tell at the end."""

    guide: Guide
    settings: RunFile
    steps: list[Step] = field(default_factory=list)

    def begun(self) -> Row:
        """Prepare the run, and look at the model as it is before step 1; returns the first row that it will get."""
        self.events = session(self.settings, Resume(is_anew=True))
        self.work: Work = next(found for found in self.events if isinstance(found, Work))
        self.before: Validation = validate(self.work)
        batch, _ = next(self.work.stream.batches())
        shifts = self.work.settings.objective.SHIFTS
        return Row(tuple(look_at_row(batch, 0, self.work.pupil.tokenizer, shifts)))

    def sample(self) -> str:
        """What the model writes now."""
        return sample(self.work) or ""

    def taught(self) -> Iterator[Progress | Step]:
        """Train: how far it is, and each step that was validated.

        Raises:
            KeyboardInterrupt: the run was interrupted; its folder can be resumed.
        """
        began = time.monotonic()
        for found in self.events:
            if not isinstance(found, Step) or not found.tokens:
                continue
            self.steps.append(found)
            recent = self.steps[-10:]
            left = (time.monotonic() - began) / len(self.steps) * (self.work.steps - found.number)
            speed = sum(one.tokens for one in recent) / sum(one.seconds for one in recent)
            told = {"number": found.number, "steps": self.work.steps, "loss": found.loss, "speed": speed, "left": left}
            yield Progress(self.guide.say(AT, **told))
            if found.validation is not None:
                yield found
        if not self.steps or self.steps[-1].stop is None:
            raise KeyboardInterrupt

    @property
    def after(self) -> Validation:
        """On held-out text, at the end."""
        return next(step.validation for step in reversed(self.steps) if step.validation is not None)

    @property
    def tokens_per_second(self) -> float:
        """Over the whole run."""
        return sum(step.tokens for step in self.steps) / sum(step.seconds for step in self.steps)

    @property
    def share_of_peak(self) -> float | None:
        """Of the operations that this machine's matrix products reach; None where that was not measured."""
        if not self.work.peak:
            return None
        seconds = sum(step.seconds for step in self.steps)
        return sum(step.operations for step in self.steps) / seconds / self.work.peak

    def curve(self) -> Plot:
        """Both losses over the steps."""
        looked = [(step.number, step.validation.loss) for step in self.steps if step.validation]
        held = [(0, self.before.loss), *looked]
        training = Curve(tuple(step.number for step in self.steps), tuple(step.loss for step in self.steps))
        told = NAMES[self.guide.lang]
        lines = {told[0]: training, told[1]: Curve(*(tuple(column) for column in zip(*held, strict=True)))}
        alt = f"{self.guide.say(CURVE)}: {training.values[0]:.2f} → {training.values[-1]:.2f}"
        return Plot(picture(lines), alt, tuple(drawn(lines)))


def lesson(guide: Guide, name: str, **sections: Any) -> Lesson:
    """A run of that name under the tour's folder; its run file there repeats it."""
    values = {"name": name, "out": str(folder(guide, name)), "seed": guide.settings.seed, **sections}
    return Lesson(guide, parse(RunFile, values))
