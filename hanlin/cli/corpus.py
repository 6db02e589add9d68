"""A corpus run as the terminal shows it: progress, why documents went, what another bound would change."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from hanlin.cli.visible import harmless
from hanlin.data.corpus.explain import Example, Moved, Side
from hanlin.data.corpus.refine import Began, Refined, refine
from hanlin.data.corpus.settings import CorpusSettings
from hanlin.data.corpus.write import Written

LINE_SECONDS = 5.0


def follow(settings: CorpusSettings, *, is_quiet: bool = False) -> Refined:
    """Run it, and say how far it is."""
    documents, done, total, said, began = 0, 0, 0, 0.0, time.monotonic()

    def say(text: str) -> None:
        click.echo(text, err=is_quiet)

    for event in refine(settings):
        if isinstance(event, Began):
            total, done = event.tasks, event.done
            for note in event.notes:
                say(note)
            say(f"{total:,} tasks" + (f", {done:,} of them done before" if done else ""))
        elif isinstance(event, Refined):
            say(_told(event, settings, time.monotonic() - began))
            return event
        elif isinstance(event, Written):
            say(f"{event.path}: {event.documents:,} documents, {event.characters:,} characters")
        else:
            documents += event.documents
            done += event.is_done
            if event.note:
                say(f"note: {event.note}")
            if time.monotonic() - said > LINE_SECONDS or done == total:
                said = time.monotonic()
                rate = documents / max(said - began, 1e-9)
                say(f"{done:,}/{total:,} tasks, {documents:,} documents, {rate:,.0f} a second")
    raise AssertionError("a run ends with what came of it")


def _told(event: Refined, settings: CorpusSettings, seconds: float) -> str:
    kept, total = int(event.decision.is_kept.sum()), len(event.store)
    report = f"why the others went: {settings.out}/report.html"
    lines = [f"{kept:,} of {total:,} documents stay, in {seconds:.1f} s; {report}"]
    refused = event.decision.reasons == event.decision.names.index("refused")
    if refused.any():
        lines.append(f"{int(refused.sum()):,} could not be read or measured: hanlin data explain {settings.out}")
    return "\n".join(lines)


def explained(told: Mapping[str, Any], found: Sequence[Side]) -> None:
    """Counts, then every bound with documents on both sides of it."""
    if told:
        click.echo(f"{told['documents']:,} documents, {told['characters_read']:,} characters read")
        width = max(len(row["reason"]) for row in told["reasons"])
        for row in told["reasons"]:
            share = row["documents"] / max(1, told["documents"])
            click.echo(f"  {row['reason']:{width}}  {row['documents']:>10,}  {share:6.1%}  {row['characters']:>14,}")
        for row in told["refused"]:
            click.echo(f"refused at {row['step']}: {harmless(row['document'])}: {harmless(row['what'])}")
    for side in found:
        click.echo(f"\n{side.name}: {side.bound}; {side.documents:,} fell for it")
        for it in side.examples:
            _shown("stays" if it.is_kept else "goes", it)


def weighed(found: Moved) -> None:
    """Before and after."""
    change = found.after - found.before
    click.echo(f"documents   {found.before:,} → {found.after:,} ({change:+,})")
    more = found.characters_after - found.characters_before
    click.echo(f"characters  {found.characters_before:,} → {found.characters_after:,} ({more:+,})")
    for name, (before, after) in found.reasons.items():
        click.echo(f"  {name}: {before:,} → {after:,}")
    for word, some in (("would stay", found.comes), ("would go", found.goes)):
        for it in some:
            _shown(word, it)


def offered() -> None:
    """Every step: what it is for, its settings and their defaults."""
    from hanlin.core.plugins import find
    from hanlin.data.step import FOLDER
    from hanlin.data.step import offered as names

    for name in names():
        module = find(FOLDER, name)
        click.echo(f"{name}: {(module.__doc__ or '').strip().splitlines()[0]}")
        for field, about in module.Step.model_fields.items():
            if field != "name":
                click.echo(f"  {field} = {about.default!r}  {' '.join((about.description or '').split())}")
    sys.stdout.flush()


def _shown(word: str, it: Example) -> None:
    value = "" if it.value != it.value else f" {it.value:g}"  # NaN: nothing was measured
    click.echo(f"  {word}{value}  {harmless(it.name)}: {harmless(it.excerpt)}")
