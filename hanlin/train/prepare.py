"""A run file in, a `Work` out: model, tokenizer, data, gate, optimiser. What it does is told as it goes."""

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch

from hanlin.core.errors import ConfigError, DataError, RefusedError
from hanlin.core.home import expanded
from hanlin.core.settings import parse
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.text.folder import load_folder
from hanlin.text.learn.settings import LearnSettings
from hanlin.text.learn.train import learn
from hanlin.text.learn.train import save as save_tokenizer
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import budget, checkpoint, memory
from hanlin.train.compiled import compile_where_it_pays
from hanlin.train.crew import Crew
from hanlin.train.data import Data, read, texts
from hanlin.train.ema import Mean
from hanlin.train.gate.check import inspect
from hanlin.train.gate.inputs import Inputs
from hanlin.train.gate.report import Report
from hanlin.train.heap import keep_freed
from hanlin.train.identity import changes, identity
from hanlin.train.memory import unmade
from hanlin.train.optimisers._moves import Moves
from hanlin.train.products import choose_products
from hanlin.train.pupil import Learner, base_of, build, device_of, dtype_of, tokenizer_from
from hanlin.train.save import fill
from hanlin.train.settings import RunFile
from hanlin.train.shards import Shards
from hanlin.train.size import recipe
from hanlin.train.threads import choose_threads
from hanlin.train.work import Work

PASS_TOKENS = 4096
"""Positions per pass if the run file does not say: enough to keep the cores busy, little enough for their caches."""
SAMPLED = 3
"""Batches that the gate looks at as the model will get them."""


@dataclass(frozen=True)
class Resume:
    """How to treat a run folder that is not empty."""

    is_wanted: bool = False
    """Go on from its last checkpoint."""
    is_anew: bool = False
    """Throw its checkpoints away and begin again."""
    is_forced: bool = False
    """Go on even if data or settings have changed."""


def folder_of(settings: RunFile) -> Path:
    """The run's folder."""
    return expanded(settings.out or f"out/{settings.name}")


def prepare(settings: RunFile, resume: Resume = Resume(), crew: Crew = Crew()) -> Iterator[str | Report | Work]:
    """Sentences about what is done, what the gate found, and the work as the last item.

    Raises:
        ConfigError: settings that do not fit together; a resume of something else.
        DataError: the data cannot be read, or is none.
        RefusedError: the gate does not let the run through.
    """
    began = time.monotonic()
    keep_freed()
    budget.check(settings)
    device = device_of(settings.train.device)
    kept = checkpoint.identity_of(folder_of(settings)) if resume.is_wanted else {}
    wish = settings.train.dtype if settings.train.dtype != "auto" else kept.get("dtype", "auto")  # measured once
    dtype, speed, why = crew.led(lambda: dtype_of(wish, device))
    yield f"on {device.type} in {why}"
    base = base_of(settings, dtype)
    tokenizer = base.tokenizer if base else tokenizer_of(settings, crew, is_kept=resume.is_wanted)
    if tokenizer is None:
        raise ConfigError(f"{settings.model.use} has no tokenizer", "take a model that brings one")
    data: Data | None = None
    if not crew.leads:
        crew.wait()  # for what the leader leaves in the cache
    for found in read(settings, tokenizer, tokenizer_hash(tokenizer)):
        if isinstance(found, Data):
            data = found
        else:
            yield found
    assert data is not None
    if crew.leads:
        crew.wait()
    yield from data.notes()
    settings = settings.model_copy(update={"objective": data.objective})
    yield from _through_the_gate(settings, data, tokenizer, base)
    if settings.train.budget:

        def make(tried: RunFile) -> Work:
            return assemble(tried, data, tokenizer, base_of(tried, dtype), dtype, device, crew)

        folder, is_kept = folder_of(settings), not resume.is_anew
        choice = None
        for found in budget.spent(settings, folder, tokenizer.vocab_size, make, began, is_kept=is_kept, crew=crew):
            if isinstance(found, budget.Choice):
                choice = found
            else:
                yield found
        assert choice is not None
        settings = budget.with_choice(settings, choice)
    work = assemble(settings, data, tokenizer, base, dtype, device, crew)
    work.peak = speed * crew.count if speed else None
    saved = checkpoint.latest(work.run) if resume.is_wanted else None
    for told in (choose_threads(work, saved.identity["threads"] if saved else 0), compile_where_it_pays(work)):
        if told:
            yield told
    if resume.is_wanted:
        yield from _resumed(work, saved, resume)
    yield work


def assemble(
    settings: RunFile,
    data: Data,
    tokenizer: Tokenizer,
    base: Checkpoint | None,
    dtype: torch.dtype,
    device: torch.device,
    crew: Crew,
) -> Work:
    """Model, streams and optimiser as they are before step 1.

    Raises:
        ConfigError: nothing learns, or settings do not fit together.
        CapacityError: it clearly does not fit into the memory.
    """
    classes = tuple(getattr(data.objective, "classes", ()))
    network = base.network if base else unmade(settings, tokenizer.vocab_size)
    memory.check(network, settings, dtype, passing(settings, settings.train.batch), is_made=base is not None)
    pupil = build(settings, base, tokenizer, classes, dtype)
    learner = Learner(pupil).to(device)
    for other in (pupil.reference, pupil.teacher):
        if other is not None:
            other.to(device)
    if not learner.learning():
        raise ConfigError("nothing learns: every part is frozen", "freeze less in model.frozen, or add an [adapter]")
    course = course_of(settings, pupil.network if base is None else None, data)
    check_crew(settings, course.batch, crew)
    choose_products(pupil.network, settings, dtype, device)
    optimiser = settings.train.optimiser.build(learner, course.rate)
    is_divided = crew.count > 1 and settings.train.sharding == "fsdp"
    if isinstance(optimiser, Moves) and not is_divided:
        optimiser.begin()
    return Work(
        settings=settings,
        run=folder_of(settings),
        pupil=pupil,
        base=base,
        stream=data.stream(settings, course.batch),
        validation=data.held(settings, course.batch),
        learner=learner,
        optimiser=optimiser,
        steps=course.steps,
        rate=course.rate,
        batch=course.batch,
        rows=passing(settings, course.batch),
        identity={
            **identity(settings, data.hash, tokenizer_hash(tokenizer)),
            "dtype": str(dtype).removeprefix("torch."),
        },
        device=device,
        crew=crew,
        shards=Shards(learner, optimiser, crew, device) if is_divided else None,
        mean=Mean(learner, settings.train.ema) if settings.train.ema else None,
        classes=classes,
    )


def check_crew(settings: RunFile, batch: int, crew: Crew) -> None:
    """Refuses what several processes cannot share.

    Raises:
        ConfigError: fewer rows than processes, or weights divided where that does not go.
    """
    if batch < crew.count:
        what = f"train.batch = {batch} has too few rows for {crew.count} workers: one of them would have none"
        raise ConfigError(what, f"train.batch={crew.count}, or --workers {batch}")
    if crew.count == 1 or settings.train.sharding == "ddp":
        return
    if not settings.objective.IS_EVEN:
        what = f'train.sharding = "fsdp": {settings.objective.use} reads rows in one pass or two, as they come'  # pyright: ignore
        raise ConfigError(what, 'train.sharding="ddp"')
    if settings.train.ema:
        raise ConfigError('train.sharding = "fsdp" keeps no running mean', 'train.ema=0, or train.sharding="ddp"')


def passing(settings: RunFile, batch: int) -> int:
    """Rows per pass."""
    return settings.train.rows or max(1, min(batch, PASS_TOKENS // settings.data.context))


@dataclass(frozen=True)
class Course:
    """How long and how fast."""

    steps: int
    batch: int
    """Rows per update."""
    rate: float


def course_of(settings: RunFile, new: Decoder | None, data: Data) -> Course:
    """Steps, rows per update and learning rate, from what the run file says and the size of a new model.

    Raises:
        ConfigError: two settings say how long.
    """
    setup, context = settings.train, settings.data.context
    dial = recipe(new) if new is not None and settings.model.size else None
    batch, factor = setup.batch, 1.0
    if dial and "batch" not in setup.model_fields_set:
        batch, factor = max(1, dial.batch_tokens // context), dial.rate_factor
    rate = setup.lr or setup.optimiser.RATE * factor
    given = [name for name in ("steps", "epochs", "tokens") if getattr(setup, name) is not None]
    if len(given) > 1:
        raise ConfigError(f"train.{given[0]} and train.{given[1]} both say how long", "keep one of them")
    if setup.steps:
        return Course(setup.steps, batch, rate)
    tokens = setup.tokens or (dial.tokens if dial and not setup.epochs else None)
    if tokens:
        return Course(max(1, round(tokens / (batch * context))), batch, rate)
    rows = data.stream(settings, batch).facts().rows
    return Course(max(1, math.ceil((setup.epochs or 1) * rows / batch)), batch, rate)


def tokenizer_of(settings: RunFile, crew: Crew, *, is_kept: bool = False) -> Tokenizer:
    """The tokenizer of a new model: a model's, or one learnt from the training data, which the run's folder keeps.

    Args:
        is_kept: take the one that is there already, if there is one.

    Raises:
        ConfigError, DataError: as `learn`.
    """
    wish = settings.tokenizer
    if wish.use:
        return tokenizer_from(wish.use)
    kept = folder_of(settings) / "tokenizer"
    if not crew.leads:
        crew.wait()
        return load_folder(kept)
    if is_kept and (kept / "tokenizer.json").is_file():
        crew.wait()
        return load_folder(kept)
    some = texts(settings)
    first = next(some, None)
    if first is None:
        paths = ", ".join(source.path for source in settings.data.train)
        raise DataError(f"{paths} has no text to learn a tokenizer from", "give data.train files with text in them")
    learnt = learn(chain([first], some), parse(LearnSettings, wish.model_dump(exclude={"use"}), "tokenizer"))
    save_tokenizer(learnt, kept)
    crew.wait()
    return load_folder(kept)


def tokenizer_hash(tokenizer: Tokenizer) -> str:
    """SHA-256, shortened, of vocabulary, rules and template."""
    template = tokenizer.template.source if tokenizer.template else ""
    return hashlib.sha256(f"{tokenizer.backend.to_str()}\0{template}\0{tokenizer.eos}".encode()).hexdigest()[:16]


def _through_the_gate(
    settings: RunFile, data: Data, tokenizer: Tokenizer, base: Checkpoint | None
) -> Iterator[str | Report]:
    stream = data.stream(settings, settings.train.batch)
    some = stream.batches()
    inputs = Inputs(
        run=settings,
        train=data.train,
        validation=data.validation,
        tokenizer=tokenizer,
        rows=base.config.vocabulary if base else tokenizer.vocab_size,
        base=base.tokenizer if base else None,
        classes=tuple(getattr(data.objective, "classes", ())),
        batches=[next(some)[0] for _ in range(SAMPLED)],
        used_share=stream.facts().used_share,
    )
    report = inspect(inputs)
    yield report
    report.raise_if_refused()


def _resumed(work: Work, saved: checkpoint.Saved | None, resume: Resume) -> Iterator[str]:
    """The work as its last checkpoint left it.

    Raises:
        RefusedError: settings or data are others, and it is not forced.
    """
    if saved is None:
        yield f"{work.run} has no checkpoint yet: this is the beginning"
        return
    other, bits = changes(saved.identity, work.identity)
    if other and not resume.is_forced:
        raise RefusedError(
            f"this is another run than the one in {work.run}: {'; '.join(other)}",
            "undo that, begin anew with --restart, or go on all the same with --force",
        )
    yield from (f"changed since the checkpoint, and going on all the same: {told}" for told in other)
    yield from (f"the last bits of the figures may differ: {told}" for told in bits)
    fill(work, saved)
    work.state = saved.state
    yield f"going on after step {saved.state.step} of {work.steps}"
