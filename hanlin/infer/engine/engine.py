"""Requests in, events out, step by step: schedule, run, emit.

A step computes one token (and what is guessed to follow it) of each answer being written, and parts of prompts as far
as the step's tokens reach. A request that finds no room for its keys and values waits, or takes the room of one that is
less important or came later, which is computed again when there is room.
"""

import itertools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hanlin.core.errors import CapacityError, HanlinError, RefusedError
from hanlin.infer.answer import Answer, Known
from hanlin.infer.bounds import check
from hanlin.infer.engine.adapters import Adapters, adapted
from hanlin.infer.engine.ahead import Ahead
from hanlin.infer.engine.counts import Counts
from hanlin.infer.engine.draft import Draft
from hanlin.infer.engine.forecast import Forecast, seen_by
from hanlin.infer.engine.guess import MOST, Guesser
from hanlin.infer.engine.pages import SIZE, Pages, hashes
from hanlin.infer.engine.rate import places
from hanlin.infer.engine.request import Request
from hanlin.infer.engine.sequence import Sequence
from hanlin.infer.engine.settings import EngineSettings, count_blocks
from hanlin.infer.engine.shelf import shelf_of
from hanlin.infer.event import Event, Place
from hanlin.infer.guide import Guide, guide
from hanlin.infer.room import room
from hanlin.kernels.low import Lows
from hanlin.kernels.plan import Plan, survey
from hanlin.model.config import Shape
from hanlin.text.tokenizer import Tokenizer

ALONE = 4
"""Times as many tokens of prompts in a step while no answer is being written."""
RATED = 128
"""Tokens of a prompt in a step whose log-probabilities are told: each has a row of logits in memory."""


class Emitted(NamedTuple):
    """An event or places of the prompt, and whose; or what went wrong with a request, which is over then."""

    handle: int
    event: Event | None
    error: HanlinError | None = None
    places: tuple[Place, ...] = ()
    """What was asked of the prompt, from `rated_from` on, in order; before the first event."""


class Part(NamedTuple):
    """What a step computes of a sequence."""

    sequence: Sequence
    size: int
    """Tokens that are known to stand there; guessed ones come behind them."""
    is_asked: bool
    """Its next token is to be chosen."""


class Engine:
    """Continuous batching on one compiled model. Not for several threads at once; see `hanlin.serve` for that."""

    def __init__(
        self,
        plan: Plan,
        tokenizer: Tokenizer,
        context: int,
        settings: EngineSettings | None = None,
        config: Shape | None = None,
        whose: bytes | None = None,
        draft: Draft | None = None,
    ) -> None:
        """`context` is the window of the model, at most the plan's positions; its config is needed for adapters.

        `whose` is the model's `identity`, needed to keep things on disk; `draft` a model that guesses.

        Raises:
            ConfigError: the draft speaks other tokens.
            CapacityError: keys and values of one full context exceed the free memory.
            StoreError: what was read cannot be kept in the folder that the settings name.
        """
        self.plan, self.tokenizer, self.settings = plan, tokenizer, settings or EngineSettings()
        self.context = min(context, plan.positions)
        self.drawable = min(plan.vocabulary, tokenizer.vocab_size)
        self.kv = plan.blocks(count_blocks(plan, self.context, self.settings), self.settings.kv_store)
        self.pages = Pages(self.kv.count, keeps=self.settings.has_prefix_cache)
        self._adapters = Adapters(plan, config)
        self.shelf = shelf_of(self.settings, whose, self.kv.memory, self.pages)
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []
        self.counts = Counts()
        self._forecast = Forecast()
        self._ahead = Ahead(self.context, self.counts, draft)
        if draft is not None:
            draft.check(tokenizer)
        self._late: list[Sequence] = []
        self._begun: list[Sequence] = []
        self._handles = itertools.count()

    def submit(self, request: Request, guided: Guide | None = None) -> int:
        """Take a request; the number by which it is known. Its events come from `step`.

        `guided` is its constraint, if that has been read already.

        Raises:
            ConfigError: there is no such adapter, ids outside the vocabulary are named, or the constraint cannot be
                satisfied.
            RefusedError: the prompt is empty.
            CapacityError: prompt and answer exceed the context window, or all the room for keys and values.
        """
        if not request.prompt:
            raise RefusedError("the prompt is empty", "write something, or start from an id: prompt=[…]")
        sampling = request.sampling
        check(sampling, self.drawable)
        if request.constraint and guided is None:
            guided = guide(request.constraint, self.tokenizer, self.drawable)
        wanted = room(len(request.prompt), sampling, self.context)
        if -(-(wanted + MOST) // SIZE) > self.kv.count:
            what = f"{wanted:,} positions need more than the {self.kv.count:,} blocks of {SIZE} there are"
            raise CapacityError(what, "ask for fewer tokens, or give the engine more kv_blocks")
        if request.prompt_logprobs is not None and wanted < len(request.prompt):
            what = f"{len(request.prompt):,} tokens of a prompt cannot be told of: its beginning is forgotten"
            raise CapacityError(what, f"give at most {wanted:,} tokens")
        adapter = None if request.adapter is None else self._adapters.get(request.adapter)
        handle, leader = next(self._handles), None
        seconds = request.deadline_seconds
        deadline = None if seconds is None else time.monotonic() + seconds
        for index, seed in enumerate(sampling.seeds()):
            own = guided and guided.copy()
            answer = Answer(index, seed, request.prompt, self.drawable, self.tokenizer, sampling, own)
            guesser = Guesser(request.prompt) if self.settings.speculates else None
            sequence = Sequence(handle, request, answer, guesser, deadline, leader, adapter=adapter)
            sequence.name = sequence.salt
            is_told = request.prompt_logprobs is not None and leader is None
            sequence.rated = max(1, request.rated_from) if is_told else len(request.prompt)
            if wanted < len(request.prompt):
                sequence.forget(wanted // 2, self.pages)
            leader = leader or sequence
            self.waiting.append(sequence)
        return handle

    def cancel(self, handle: int) -> None:
        """End a request; nothing more is computed of it from the next step on. One that is over already is fine."""
        for sequence in [*self.running, *self.waiting]:
            if sequence.handle == handle:
                sequence.is_cancelled = True
        self._clear()

    @property
    def adapters(self) -> Mapping[str, Lows]:
        """Those that requests may name."""
        return dict(self._adapters.held)

    def load_adapter(self, name: str, path: str | Path | Lows) -> None:
        """Read a LoRA's folder, as PEFT or `hanlin train` writes it, or take one that was read for this plan.

        Which weights it was trained on is not checked here, only that its shapes fit: see docs/engine.md.

        Raises:
            RefusedError: the name is taken, or it cannot be carried beside a model (DoRA, experts).
            WeightsError: the folder is damaged, or of another model.
        """
        self._adapters.load(name, path if isinstance(path, Lows) else Path(path))

    def unload_adapter(self, name: str) -> None:
        """Know it no longer.

        Raises:
            ConfigError: there is none of this name.
            RefusedError: a request that is not over has it.
        """
        self._adapters.unload(name, [one.adapter for one in (*self.running, *self.waiting)])

    @property
    def is_idle(self) -> bool:
        """There is nothing to do."""
        return not self.running and not self.waiting

    def reading(self) -> Iterator[tuple[int, int, int]]:
        """Of each request whose prompt is being read, or was in this step: handle, tokens read, and of these found."""
        for one in (*self._begun, *self.running):
            if one.leader is None and (one in self._begun or not one.answer.count):
                yield one.handle, one.computed, one.found

    def reading_seconds(self, request: Request) -> float | None:
        """How long its prompt would take to be read if it came now, behind those that wait or are being read.

        What was read for others is known already. None while the engine has read too little to tell.
        """
        prompt = request.prompt
        adapter = None if request.adapter is None else self._adapters.get(request.adapter)
        names = hashes(prompt[:-1], b"" if adapter is None else adapter.content) if self.pages.keeps else []
        first = SIZE * self.pages.count_known(names)
        before = [one for one in (*self.running, *self.waiting) if one.leader is None and one.pending > 1]
        parts = [(one.pending, one.computed) for one in before if one.request.priority >= request.priority]
        times = [self._forecast.seconds(*part) for part in ((len(prompt) - first, first), *parts)]
        return None if None in times else sum(one for one in times if one is not None)

    def step(self) -> list[Emitted]:
        """Compute the next tokens of all that go on, and end what cannot go on."""
        self._begun, began = [], time.perf_counter()
        parts = self._schedule()
        sizes = [(part.size, part.sequence.computed) for part in parts if part.size > 1]
        logits = self._run(parts)
        if sizes:
            rows, seen = sum(size for size, _ in sizes), sum(seen_by(*one) for one in sizes)
            self._forecast.take(rows, seen, time.perf_counter() - began)
        events = self._emit(parts, logits)
        if parts and all(part.sequence.answer.count > 1 or part.sequence.is_finished for part in parts):
            self._ahead.take(sum(one.event is not None for one in events), time.perf_counter() - began)
        if self.shelf is not None:
            self.shelf.settle(None if self.is_idle else 1)
        return events

    def generate(self, request: Request) -> Iterator[Event]:
        """One request's events, as they come; others that were submitted go on beside it, and theirs are lost.

        Raises:
            ConfigError, RefusedError, CapacityError: at the call, as `submit`.
            WeightsError: (while iterating) the model answers something else than numbers.
            RefusedError: (while iterating) settings and constraint leave no token that may come.
        """
        return self._events(self.submit(request))

    def _events(self, handle: int) -> Iterator[Event]:
        try:
            while any(one.handle == handle for one in (*self.running, *self.waiting)):
                for one in self.step():
                    if one.handle != handle:
                        continue
                    if one.error is not None:
                        raise one.error
                    if one.event is not None:
                        yield one.event
        finally:
            self.cancel(handle)
            if self.shelf is not None:
                self.shelf.settle()

    def _schedule(self) -> list[Part]:
        self._expire()
        writing = sorted((one for one in self.running if one.pending == 1), key=lambda one: one.rank)
        self._ahead.fill(writing, len(self.running))
        parts = [Part(one, 1, is_asked=True) for one in writing if one.is_running and self._has_room(one, 1)]
        parts = [part for part in parts if part.sequence.is_running]
        left = self.settings.step_tokens * (1 if parts else ALONE)
        for sequence in sorted((*self.running, *self.waiting), key=lambda one: one.rank):
            if left <= 0:
                break
            if sequence.is_running and sequence.pending == 1:
                continue
            if not sequence.is_running:
                if not self._fits(sequence):
                    break  # nobody overtakes who waits for memory
                if not self._admit(sequence):
                    continue
            count = min(sequence.pending, left, RATED if sequence.is_rated else left)
            if self._has_room(sequence, count):
                parts.append(Part(sequence, count, is_asked=count == sequence.pending))
                left -= count
        return [part for part in parts if part.sequence.is_running]

    def _fits(self, sequence: Sequence) -> bool:
        """There are blocks for all it has to read, or less important ones hold them."""
        held = (len(one.blocks) for one in self.running if one.request.priority < sequence.request.priority)
        return -(-(sequence.length + 1) // SIZE) <= self.pages.free + sum(held)

    def _admit(self, sequence: Sequence) -> bool:
        if len(self.running) >= self.settings.streams:
            return False
        leader = sequence.leader
        if leader is not None and not leader.is_finished and not leader.answer.count:
            return False
        sequence.begin_from(self.pages, self.shelf and self.shelf.fetch)
        sequence.found = sequence.computed
        self._begun.append(sequence)
        self.counts.found += sequence.computed
        sequence.is_running = True
        self.waiting.remove(sequence)
        self.running.append(sequence)
        return True

    def _has_room(self, sequence: Sequence, count: int) -> bool:
        """Room for more of a sequence; others that come after it give theirs up for it, else it gives up its own."""
        while not sequence.grow(self.pages, sequence.computed + count + len(sequence.guess)):
            last = max(self.running, key=lambda one: one.rank)
            last.give_up(self.pages)
            self.counts.preempted += 1
            self.running.remove(last)
            self.waiting.append(last)
            if last is sequence:
                return False
        return True

    def _expire(self) -> None:
        now = time.monotonic()
        self._late = [one for one in (*self.running, *self.waiting) if one.deadline is not None and now > one.deadline]
        for sequence in self._late:
            sequence.is_cancelled = True
        if self._late:
            self._clear()

    def _run(self, parts: list[Part]) -> np.ndarray:
        if not parts:
            return np.empty((0, self.plan.vocabulary), np.float32)
        tokens, positions, owners, wanted = [], [], [], []
        for owner, part in enumerate(parts):
            some, first = part.sequence.next_tokens(part.size), len(tokens)
            wanted += [first + row - part.sequence.computed for row in part.sequence.rows(part.size)]
            if part.is_asked:
                last = first + part.size - 1
                wanted += range(last, last + 1 + len(part.sequence.guess))
            tokens += some
            positions += range(part.sequence.computed, part.sequence.computed + len(some))
            owners += [owner] * len(some)
        tables = np.zeros((len(parts), max(len(part.sequence.blocks) for part in parts)), np.int32)
        for row, part in zip(tables, parts, strict=True):
            row[: len(part.sequence.blocks)] = part.sequence.blocks
        self.counts.steps += 1
        self.counts.rows += len(tokens)
        said = self.plan.walk(
            self.kv,
            np.array(tokens),
            np.array(positions),
            np.array(owners),
            tables,
            np.array(wanted),
            adapted=adapted(owners, [part.sequence.adapter for part in parts]),
        )
        assert said.logits is not None
        return said.logits

    def _emit(self, parts: list[Part], logits: np.ndarray) -> list[Emitted]:
        events = [self._cut(sequence) for sequence in self._late]
        found = survey(logits, self.drawable)
        known = list(map(Known, found.totals.tolist(), found.likeliest.tolist()))
        place = 0
        for part in parts:
            sequence = part.sequence
            told = slice(place, place + len(sequence.rows(part.size)))
            asked = slice(told.stop, told.stop + (1 + len(sequence.guess)) * part.is_asked)
            place = asked.stop
            try:
                events.extend(self._tell(sequence, part.size, logits[told], known[told]))
                named = sequence.named
                sequence.advance(part.size, self.pages)
                if self.shelf is not None:
                    self.shelf.note(sequence.read_blocks(named))
                if part.is_asked:
                    pairs = list(zip(logits[asked], known[asked], strict=True))
                    events.extend(Emitted(sequence.handle, event) for event in self._say(sequence, pairs))
            except HanlinError as error:
                events.append(Emitted(sequence.handle, None, error))
                self.cancel(sequence.handle)
        self._clear()
        return events

    def _tell(self, sequence: Sequence, size: int, logits: np.ndarray, known: list[Known]) -> Iterator[Emitted]:
        """What was asked of the prompt's own tokens."""
        rows, count = sequence.rows(size), sequence.request.prompt_logprobs
        if not rows or count is None:
            return
        tokens = sequence.request.prompt[rows.start + 1 : rows.stop + 1]
        told = places(logits, tokens, [one.total for one in known], count, self.drawable)
        sequence.rated = rows.stop + 1
        yield Emitted(sequence.handle, None, places=tuple(told))

    def _say(self, sequence: Sequence, rows: list[tuple[np.ndarray, Known]]) -> Iterator[Event]:
        """The next token, and as many of the guessed ones behind it as are what would have been chosen."""
        answer, guess = sequence.answer, sequence.guess
        sequence.guess, right = [], 0
        for (row, known), guessed in zip(rows, [*guess, None], strict=True):
            yield answer.take(row, known, sequence.dropped)
            sequence.dropped = 0
            if answer.finish is not None or answer.tokens[-1] != guessed:
                break
            right += 1
        sequence.advance(right, self.pages)
        self._ahead.learn(sequence, len(guess), right)
        if answer.finish is None and sequence.length > self.context:
            sequence.forget(max(1, self.context // 2), self.pages)
            self.running.remove(sequence)
            self.waiting.append(sequence)

    def _cut(self, sequence: Sequence) -> Emitted:
        answer = sequence.answer
        last = answer.tokens[-1] if answer.count else -1
        return Emitted(sequence.handle, Event(answer.index, last, answer.watch.finish(), 0.0, (), "length"))

    def _clear(self) -> None:
        """Those that are over give up their blocks."""
        for some in (self.running, self.waiting):
            for sequence in [one for one in some if one.is_finished]:
                sequence.give_up(self.pages)
                some.remove(sequence)
