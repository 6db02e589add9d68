"""Answers as the terminal and JSON show them: events in; text as it comes, or one object at the end."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import click

from hanlin.cli.visible import harmless
from hanlin.infer.event import Event
from hanlin.infer.sampling import Sampling
from hanlin.text.tokenizer import Tokenizer


@dataclass
class Told:
    """One answer so far."""

    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(event.text for event in self.events)

    @property
    def finish(self) -> str | None:
        """Why it ended, if it has."""
        return self.events[-1].finish if self.events else None


class Timed:
    """Events passing through: sorted by answer, timed; a window that slides is said once, on standard error."""

    def __init__(self, events: Iterator[Event], answers: int) -> None:
        self.events = events
        self.answers = [Told() for _ in range(answers)]
        self.prefill_seconds = self.decode_seconds = 0.0
        self.dropped = 0

    def __iter__(self) -> Iterator[Event]:
        began = first = time.perf_counter()
        for event in self.events:
            now = time.perf_counter()
            if not self.tokens:
                self.prefill_seconds, first = now - began, now
            self.decode_seconds = now - first
            if event.dropped and not self.dropped:
                note(f"the context window is full: the oldest {event.dropped:,} tokens are forgotten, and more later")
            self.dropped += event.dropped if event.index == 0 else 0
            self.answers[event.index].events.append(event)
            yield event

    @property
    def tokens(self) -> int:
        """Tokens of all answers so far."""
        return sum(len(answer.events) for answer in self.answers)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens after each answer's first, over the seconds they took; None where there were none."""
        later = self.tokens - len(self.answers)
        return later / self.decode_seconds if later > 0 and self.decode_seconds else None


def note(text: str) -> None:
    """Something worth knowing, beside the answer."""
    click.echo(f"note: {text}", err=True)


def print_text(timed: Timed, tokenizer: Tokenizer, sampling: Sampling) -> None:
    """Stream the first answer; the others, made beside it, follow when all are done."""
    write = harmless if sys.stdout.isatty() else str
    for event in timed:
        if event.index == 0:
            click.echo(write(event.text), nl=False)
    for number, answer in enumerate(timed.answers, 1):
        if number > 1:
            click.echo(f"── {number} of {sampling.n}\n{write(answer.text)}", nl=False)
        if not answer.text.endswith("\n"):
            click.echo()
        for event in answer.events if sampling.logprobs is not None else ():
            click.echo(_line(event, tokenizer))
    cut = sum(answer.finish == "length" for answer in timed.answers)
    if cut:
        which = "the answer was" if sampling.n == 1 else f"{cut} of {sampling.n} answers were"
        note(f"{which} cut at {sampling.max_tokens} tokens; --max-tokens allows more")


def _line(event: Event, tokenizer: Tokenizer) -> str:
    """A token's log-probability, and those of the likeliest in its place."""
    likeliest = "  ".join(f"{tokenizer.token_text(top.token)!r} {top.logprob:.3f}" for top in event.top)
    return f"{tokenizer.token_text(event.token)!r:>16} {event.logprob:8.3f}   {likeliest}".rstrip()


def as_object(
    timed: Timed, tokenizer: Tokenizer, sampling: Sampling, *, model: str, prompt_tokens: int, load_seconds: float
) -> dict[str, Any]:
    """All answers as one JSON object; text, tokens, logprobs and finish_reason of the first also stand at the top."""
    answers = [
        {"index": index, **_plain(answer, tokenizer), "seed": None if sampling.is_greedy else seed}
        for index, (answer, seed) in enumerate(zip(timed.answers, sampling.seeds(), strict=True))
    ]
    first = {name: answers[0][name] for name in ("text", "tokens", "logprobs", "finish_reason")}
    return {
        "model": model,
        **first,
        "answers": answers,
        "counts": {"prompt": prompt_tokens, "completion": timed.tokens, "dropped": timed.dropped},
        "seconds": {
            "load": round(load_seconds, 4),
            "prefill": round(timed.prefill_seconds, 4),
            "decode": round(timed.decode_seconds, 4),
        },
        "tokens_per_second": timed.tokens_per_second and round(timed.tokens_per_second, 2),
        "sampling": sampling.model_dump(mode="json"),
    }


def _plain(answer: Told, tokenizer: Tokenizer) -> dict[str, Any]:
    likeliest = [
        [{"token": top.token, "text": tokenizer.token_text(top.token), "logprob": top.logprob} for top in event.top]
        for event in answer.events
    ]
    return {
        "text": answer.text,
        "tokens": [event.token for event in answer.events],
        "logprobs": [event.logprob for event in answer.events],
        **({"top_logprobs": likeliest} if any(likeliest) else {}),
        "finish_reason": answer.finish,
    }
