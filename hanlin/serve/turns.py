"""The engine's face for a model that computes with torch: requests take turns, a token each.

It is what a machine without native kernels has, and what float32 is for: plain, and slow with company. Nothing is
computed together, so an answer cannot change with the company it keeps.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from hanlin.core.errors import HanlinError
from hanlin.infer.engine import Emitted, Request
from hanlin.infer.engine.rate import places
from hanlin.infer.event import Event
from hanlin.infer.generate import generate
from hanlin.infer.guide import Guide
from hanlin.model.decoder import Decoder
from hanlin.text.tokenizer import Tokenizer

CHUNK = 128
"""Tokens of a prompt in one turn whose log-probabilities are told."""


@dataclass(eq=False)
class Turn:
    """A request and where it stands."""

    handle: int
    work: Iterator[Emitted]
    deadline: float | None
    going: set[int]
    """Answers that have not had their last event."""


class Turns:
    """As `Engine`: `submit`, `cancel`, `step`, `is_idle`."""

    def __init__(self, network: Decoder, tokenizer: Tokenizer, context: int) -> None:
        """`context` is at most the model's own window."""
        self.network, self.tokenizer, self.context = network, tokenizer, context
        self.drawable = min(network.config.vocabulary, tokenizer.vocab_size)
        self._turns: list[Turn] = []
        self._handles = itertools.count()

    @property
    def is_idle(self) -> bool:
        """There is nothing to do."""
        return not self._turns

    def submit(self, request: Request, guided: Guide | None = None) -> int:
        """Take a request; raises as `Engine.submit`."""
        handle = next(self._handles)
        answers = generate(
            self.network, self.tokenizer, request.prompt, request.sampling, request.constraint, guided=guided
        )
        seconds = request.deadline_seconds
        deadline = None if seconds is None else time.monotonic() + seconds
        going = set(range(request.sampling.n))
        self._turns.append(Turn(handle, self._work(handle, request, answers), deadline, going))
        return handle

    def reading(self) -> Iterator[tuple[int, int, int]]:
        """Nothing: a prompt is read in one turn."""
        return iter(())

    def cancel(self, handle: int) -> None:
        """End a request; one that is over already is fine."""
        self._turns = [turn for turn in self._turns if turn.handle != handle]

    def step(self) -> list[Emitted]:
        """The next token of each."""
        emitted: list[Emitted] = []
        for turn in list(self._turns):
            try:
                if turn.deadline is not None and time.monotonic() > turn.deadline:
                    self._turns.remove(turn)
                    cut = (Event(index, -1, "", 0.0, (), "length") for index in sorted(turn.going))
                    emitted.extend(Emitted(turn.handle, event) for event in cut)
                    continue
                emitted.append(one := next(turn.work))
                if one.event is not None and one.event.finish is not None:
                    turn.going.discard(one.event.index)
            except StopIteration:
                self._turns.remove(turn)
            except HanlinError as error:
                self._turns.remove(turn)
                emitted.append(Emitted(turn.handle, None, error))
        return emitted

    def _work(self, handle: int, request: Request, answers: Iterator[Event]) -> Iterator[Emitted]:
        if request.prompt_logprobs is not None:
            yield from self._read(handle, request)
        for event in answers:
            yield Emitted(handle, event)

    @torch.inference_mode()
    def _read(self, handle: int, request: Request) -> Iterator[Emitted]:
        cache = self.network.cache(1, len(request.prompt))
        for begin in range(0, len(request.prompt) - 1, CHUNK):
            some = request.prompt[begin : begin + CHUNK]
            logits = self.network(torch.tensor([some]), cache)[0].float()
            first = max(0, request.rated_from - 1 - begin)
            tokens = request.prompt[begin + 1 + first : begin + 1 + len(some)]
            rows = logits[first : first + len(tokens)]
            totals = torch.logsumexp(rows, -1).tolist()
            told = places(rows.numpy(), tokens, totals, request.prompt_logprobs or 0, self.drawable)
            yield Emitted(handle, None, places=tuple(told))
