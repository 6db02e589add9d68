"""A corpus that was decided on in, why: counts by step, by source and by language, and documents on both sides of a
bound; and what would be another way if a bound were moved.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hanlin.core.errors import ConfigError
from hanlin.core.settings import override, parse
from hanlin.data.corpus.decide import SPLITS, Decision, counted, decide
from hanlin.data.corpus.mixture import Mixture
from hanlin.data.corpus.settings import CorpusSettings
from hanlin.data.corpus.store import Store
from hanlin.data.corpus.task import measured_by
from hanlin.data.step import Rule, Step, named

EXCERPT = 160
MOST_GROUPS = 40


@dataclass(frozen=True)
class Example:
    """A document beside a bound."""

    name: str
    value: float
    is_kept: bool
    excerpt: str


@dataclass(frozen=True)
class Side:
    """A bound, how many fell for it, and who stands nearest to it on both sides."""

    name: str
    """Such as "quality.min_words"."""
    bound: str
    documents: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Moved:
    """What a changed bound does."""

    before: int
    after: int
    """Documents that stay."""
    characters_before: int
    characters_after: int
    comes: tuple[Example, ...]
    """Some that would stay."""
    goes: tuple[Example, ...]
    """Some that would go; `value` is what the changed bound is on."""
    reasons: dict[str, tuple[int, int]]
    """Reason → documents before and after, where they differ."""


def summary(store: Store, decision: Decision, mixture: Mixture, settings: CorpusSettings) -> dict[str, Any]:
    """Counts as plain JSON."""
    sizes = store.column("characters")
    reasons = [
        {"reason": name, "documents": count, "characters": size}
        for name, count, size in counted(decision, sizes)
        if count or name == "kept"
    ]
    read = np.nan_to_num(store.column("read_characters").astype(float))
    splits = {
        name: {"documents": int((decision.splits == at).sum()), "characters": int(sizes[decision.splits == at].sum())}
        for at, name in enumerate(SPLITS)
    }
    return {
        "name": settings.name,
        "documents": len(store),
        "characters_read": int(read.sum()),
        "reasons": reasons,
        "splits": splits,
        "sources": _by(_sources(store, settings), decision, sizes),
        "languages": _by(store.column("language"), decision, sizes),
        "mixture": {
            name: dict(zip(("had", "has", "epochs"), share, strict=True)) for name, share in mixture.shares.items()
        },
        "refused": refused(store),
    }


def _sources(store: Store, settings: CorpusSettings) -> np.ndarray:
    names = np.array([origin.name or origin.path for origin in settings.sources], object)
    return names[store.column("source")]


def _by(groups: np.ndarray, decision: Decision, sizes: np.ndarray) -> list[dict[str, Any]]:
    """Documents and characters by group, the largest first; what is beyond a few is counted together."""
    names, place = np.unique(np.array([name or "unknown" for name in groups]), return_inverse=True)
    whole, kept = np.bincount(place), np.bincount(place, weights=decision.is_kept)
    size, left = np.bincount(place, weights=sizes), np.bincount(place, weights=sizes * decision.is_kept)
    order = np.argsort(-size, kind="stable")
    rows = [
        {"name": str(names[at]), "documents": int(whole[at]), "kept": int(kept[at])}
        | {"characters": int(size[at]), "characters_kept": int(left[at])}
        for at in order.tolist()
    ]
    if len(rows) > MOST_GROUPS:
        rest = {key: sum(row[key] for row in rows[MOST_GROUPS:]) for key in rows[0] if key != "name"}
        rows = [*rows[:MOST_GROUPS], {"name": f"{len(rows) - MOST_GROUPS} more", **rest}]
    return rows


def refused(store: Store, most: int = 100) -> list[dict[str, str]]:
    """The documents that could not be read or measured, the first of them."""
    if "refused" not in store.names:
        return []
    which = np.flatnonzero(store.column("refused").astype(bool))[:most].tolist()
    rows = store.rows(which, ["path", "number", "refused", "refused_at"])
    return [{"document": _name(row), "what": row["refused"], "step": row["refused_at"]} for row in rows]


def sides(store: Store, decision: Decision, steps: Sequence[Step], only: str = "", most: int = 3) -> Iterator[Side]:
    """Every bound that something fell for, or the one named, with the nearest documents on both sides."""
    codes = {name: at for at, name in enumerate(decision.names)}
    for step in steps:
        for rule in step.rules():
            name, tag = f"{step.name}.{rule.name}", f"{step.name}.{rule.tag}"
            if tag not in store.names or (only and only not in (name, step.name)):
                continue
            fell = decision.reasons == codes[name]
            if not fell.any() and only != name:
                continue
            yield Side(name, _bound(rule), int(fell.sum()), _nearest(store, rule, tag, fell, decision, most))


def _nearest(
    store: Store, rule: Rule, tag: str, fell: np.ndarray, decision: Decision, most: int
) -> tuple[Example, ...]:
    values = store.column(tag)
    if values.dtype == object:
        return tuple(
            _examples(store, [*np.flatnonzero(fell)[:most], *np.flatnonzero(decision.is_kept)[:most]], None, decision)
        )
    bounds = [bound for bound in (rule.least, rule.most) if np.isfinite(bound)]
    distance = np.min([np.abs(values - bound) for bound in bounds], axis=0)
    found: list[int] = []
    for side in (fell, decision.is_kept & ~np.isnan(values)):
        where = np.flatnonzero(side)
        found += where[np.argsort(distance[where], kind="stable")[:most]].tolist()
    return tuple(_examples(store, found, values, decision))


def _examples(
    store: Store, documents: Sequence[int], values: np.ndarray | None, decision: Decision
) -> Iterator[Example]:
    chosen = [int(at) for at in documents]
    for at, row in zip(chosen, store.rows(chosen, ["path", "number", "text"]), strict=True):
        value = float("nan") if values is None else float(values[at])
        yield Example(
            _name(row), value, bool(decision.is_kept[at]), " ".join((row["text"] or "")[:2000].split())[:EXCERPT]
        )


def _name(row: dict[str, Any]) -> str:
    return row["path"] if row["number"] == 1 else f"{row['path']}#{row['number']}"


def _bound(rule: Rule) -> str:
    if rule.among is not None:
        return f"one of {', '.join(sorted(rule.among))}"
    parts = [
        f"{words} {value:g}"
        for words, value in (("at least", rule.least), ("at most", rule.most))
        if np.isfinite(value)
    ]
    for words, value in (("at least", rule.least_zh), ("at most", rule.most_zh)):
        if value is not None:
            parts.append(f"Chinese {words} {value:g}" if np.isfinite(value) else "Chinese: no bound")
    return ", ".join(parts)


def moved(
    store: Store, settings: CorpusSettings, steps: Sequence[Step], changes: Sequence[str], most: int = 5
) -> Moved:
    """What would stay and go with other bounds: "quality.min_words=30", "duplicates.near=false".

    Raises:
        ConfigError: it is no bound, or what it changes must be measured anew.
    """
    before = decide(store, settings, steps)
    settings, steps, tag = changed(settings, steps, changes)
    after = decide(store, settings, steps)
    sizes = store.column("characters")
    values = store.column(tag) if tag in store.names else None
    values = None if values is None or values.dtype == object else values
    comes = np.flatnonzero(after.is_kept & ~before.is_kept)[:most].tolist()
    goes = np.flatnonzero(before.is_kept & ~after.is_kept)[:most].tolist()
    counts = [{name: count for name, count, _ in counted(one, sizes)} for one in (before, after)]
    names = dict.fromkeys((*counts[0], *counts[1]))
    pairs = {name: (counts[0].get(name, 0), counts[1].get(name, 0)) for name in names}
    return Moved(
        int(before.is_kept.sum()),
        int(after.is_kept.sum()),
        int(sizes[before.is_kept].sum()),
        int(sizes[after.is_kept].sum()),
        tuple(_examples(store, comes, values, after)),
        tuple(_examples(store, goes, values, after)),
        {name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
    )


def changed(
    settings: CorpusSettings, steps: Sequence[Step], changes: Sequence[str]
) -> tuple[CorpusSettings, list[Step], str]:
    """Settings and steps with other bounds, and the tag that the last change is about.

    Raises:
        ConfigError: see `moved`.
    """
    found, tag = list(steps), ""
    for change in changes:
        path, sign, text = change.partition("=")
        head = path.partition(".")[0]
        if not sign:
            raise ConfigError(f"{change} changes nothing", "write STEP.BOUND=VALUE, such as quality.min_words=30")
        if head in ("duplicates", "mixture", "split"):
            plain = override(settings.model_dump(mode="json", exclude_none=True), [change])
            other = parse(CorpusSettings, plain)
            _must_be_measured(settings, other, path)
            settings = other
            continue
        step, field = named(found, path)
        plain = step.model_dump(mode="json") | {field: _value(text)}
        other = parse(type(step), plain, step.name)
        if measured_by(other) != measured_by(step):
            raise ConfigError(f"{path} is no bound: texts are measured by it", "change the run file and run it again")
        found[found.index(step)] = other
        rule = next((rule for rule in other.rules() if rule.name == field.removesuffix("_zh")), None)
        tag = f"{step.name}.{rule.tag if rule else field.partition('_')[2]}"
    return settings, found, tag


def _must_be_measured(settings: CorpusSettings, other: CorpusSettings, path: str) -> None:
    """Signatures that were not made cannot be compared."""
    was, now = settings.duplicates, other.duplicates
    is_same = was.model_dump(include={"words", "bands", "rows", "seed", "compat", "passage_words", "least_characters"})
    grows = (now.near and not was.near) or any(
        getattr(now, name) is not None and getattr(was, name) is None for name in ("passages", "lines", "paragraphs")
    )
    if grows or is_same != now.model_dump(include=set(is_same)):
        raise ConfigError(f"{path}: that was not measured", "change the run file and run it again")


def _value(text: str) -> Any:
    """A bound as TOML has it; "none" for no bound."""
    if text.strip().lower() in ("none", "off"):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
