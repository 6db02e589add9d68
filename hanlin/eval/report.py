"""Exams as one page to read offline: figures with their intervals, plots, and every item to leaf through."""

import math
from collections.abc import Sequence

import numpy as np

from hanlin.core.errors import DataError
from hanlin.core.page import Block, Browser, Entry, Grid, Label, Picture, Section, Words, render, shown
from hanlin.core.picture import INK, SEAL, canvas, svg
from hanlin.eval.exam import Result
from hanlin.eval.metrics.brier import probabilities
from hanlin.eval.metrics.ece import Metric as Calibration
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.score import Score

LEAD = Label(
    "How good a model is, and how sure that is. Each figure has its 95 % interval and says how it was made.",
    "模型有多好，又有多确定。每个数值都附有 95% 区间和计算方式。",
)
HEAD = (Label("model", "模型"), Label("task", "考题"), Label("figure", "指标"), Label("value", "数值"))
HEAD += (Label("95 % interval", "95% 区间"), Label("items", "题数"))
ENTRIES = 2000
"""Items of an exam that the page has; the parquet file has all."""
ASKED, RIGHT, SAID = Label("Question", "问题"), Label("Right", "正确答案"), Label("Answer", "回答")
LIKELY, FIGURES = Label("Choices, and how likely each was", "选项及其可能性"), Label("Figures", "指标")


def as_page(results: Sequence[Result]) -> str:
    """The page as HTML."""
    sections: list[Section] = [(Label("Figures", "结果"), _figures(results))]
    for one in results:
        blocks = [*_groups(one), *_calibration(one), *_settings(one)]
        sections.append((Label(f"{one.task} · {one.model}", f"{one.task} · {one.model}"), blocks))
    sections.append((Label("Items", "逐题"), _items(results)))
    return render(", ".join(dict.fromkeys(one.model for one in results)), LEAD, sections)


def _figures(results: Sequence[Result]) -> list[Block]:
    rows, lines = [], []
    for one in results:
        count = f"{len(one.samples):,}" + (f" / {one.total:,}" if len(one.samples) < one.total else "")
        for name, score in one.scores.items():
            arrow = "↑" if score.higher_is_better else "↓"
            rows.append((one.model, one.task, f"{name} {arrow}", shown(score.value), _interval(score), count))
            lines.append((f"{one.task} {name}", score))
    return [Grid(HEAD, tuple(rows)), *_plot(lines, Label("Shares, with 95 % intervals", "比例及其 95% 区间"))]


def _plot(lines: Sequence[tuple[str, Score]], title: Label) -> list[Block]:
    """Figures between 0 and 1, one under another."""
    there = [(name, score) for name, score in lines if (score.lowest, score.highest) == (0, 1)]
    there = [(name, score) for name, score in there if not math.isnan(score.value)][:60]
    if not there:
        return []
    figure, axes = canvas(height=0.3 * len(there) + 0.7)
    for place, (_, score) in enumerate(there):
        low, high = (score.value,) * 2 if math.isnan(score.stderr) else score.interval()
        axes.plot([low, high], [place, place], color=INK, linewidth=1.4)
        axes.plot([score.value], [place], "o", color=SEAL, markersize=5)
    axes.set_yticks(range(len(there)), [name for name, _ in there])
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.25)
    said = "; ".join(f"{name} {score.value:.3f}" for name, score in there)
    return [Picture(title, svg(figure), said)]


def _groups(one: Result) -> list[Block]:
    if len(one.groups) < 2:
        return []
    first = next(iter(one.scores))
    names = list(one.scores)
    rows = tuple(
        (group, *(shown(scores[name].value) for name in names), shown(scores[first].n))
        for group, scores in one.groups.items()
    )
    lines = [(group, scores[first]) for group, scores in one.groups.items()]
    head = (Label("group", "组别"), *names, Label("items", "题数"))
    return [Grid(head, rows), *_plot(lines, Label(f"{first} by group", f"各组的 {first}"))]


def _calibration(one: Result) -> list[Block]:
    """How often the model is right where it is so sure: on the line, it knows what it knows."""
    judge = Calibration(bins=10)
    try:
        points = judge.diagram(judge.statistics(one.samples, one.replies).sum(0))
    except DataError:  # nothing to choose from, or no right choice
        return []
    figure, axes = canvas(height=3.4)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    most = max(n for _, _, n in points)
    axes.scatter(
        *zip(*[point[:2] for point in points], strict=True), s=[20 + 180 * n / most for *_, n in points], color=SEAL
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence 信心", ylabel="right 正确")
    title = Label("Reliability: how sure it is, and how often right", "可靠性：多有信心，多常正确")
    said = "; ".join(f"{confidence:.2f} sure: {right:.2f} right of {n}" for confidence, right, n in points)
    return [Picture(title, svg(figure), said)]


def _settings(one: Result) -> list[Block]:
    lines = [f"{name}: {score.signature}" for name, score in one.scores.items()]
    lines += [f"{key} = {value}" for key, value in one.settings.items() if value not in (None, "")]
    return [Words(Label("How it was made", "计算方式"), "\n".join([*lines, f"{one.seconds:.1f} s"]))]


def _items(results: Sequence[Result]) -> list[Block]:
    entries = []
    for one in results:
        for place in range(min(ENTRIES, len(one.samples))):
            sample, reply = one.samples[place], one.replies[place]
            figures = {name: values[place] for name, values in one.each.items()}
            filed = (one.model, one.task, sample.group, _verdict(figures, one))
            entries.append(Entry(filed, _line(sample), _parts(sample, reply, figures)))
    heads = (HEAD[0], HEAD[1], Label("group", "组别"), Label("verdict", "判定"))
    blocks: list[Block] = [Browser(Label("Every item", "每一道题"), heads, tuple(entries))]
    for one in results:
        if len(one.samples) > ENTRIES:
            what = f"{one.task}: {ENTRIES:,} / {len(one.samples):,}; --out items.parquet"
            blocks.append(Words(Label("Not all items are on this page", "本页未收录全部题目"), what))
    return blocks


def _verdict(figures: dict[str, float], one: Result) -> str:
    """Right or wrong, where the first figure is either."""
    name = next(iter(figures))
    score = one.scores[name]
    if not score.is_mean or (score.lowest, score.highest) != (0, 1) or figures[name] not in (0, 1):
        return ""
    return "✓" if (figures[name] == 1) == score.higher_is_better else "✗"


def _line(sample: Sample) -> str:
    text = sample.prompt or (sample.references[0] if sample.references else " | ".join(sample.choices))
    ends = [line for line in text.strip().splitlines() if line.strip()]
    asked = next((line for line in reversed(ends) if len(line) > 12), ends[-1] if ends else "")
    return f"{sample.id}  {asked[:120]}"


def _parts(sample: Sample, reply: Reply, figures: dict[str, float]) -> tuple[tuple[Label, str], ...]:
    parts = [(ASKED, sample.prompt)] if sample.prompt else []
    if sample.choices and reply.loglikelihoods:
        shares = probabilities(sample, reply)
        best = int(np.argmax(reply.loglikelihoods))
        lines = [
            f"{'✓' if place in sample.gold else ' '} {'→' if place == best else ' '} {share:6.1%}  {choice}"
            for place, (share, choice) in enumerate(zip(shares, sample.choices, strict=True))
        ]
        parts.append((LIKELY, "\n".join(lines)))
    if sample.references:
        parts.append((RIGHT, "\n".join(sample.references)))
    parts += [(SAID, text) for text in reply.texts]
    if sample.references and reply.loglikelihoods:
        parts.append((LIKELY, f"{sum(reply.loglikelihoods):.2f} nats, {sum(reply.tokens):,} tokens"))
    parts.append((FIGURES, "\n".join(f"{name}: {shown(value)}" for name, value in figures.items())))
    return tuple(parts)


def _interval(score: Score) -> str:
    if math.isnan(score.stderr):
        return "–"
    low, high = score.interval()
    return f"{shown(low)} … {shown(high)}"
