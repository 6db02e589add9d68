"""A finished corpus run in; its page out: what went and why, by step, source, language and length, with examples."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import stopwordsiso
import tomli_w

from hanlin.core.page import Block, Grid, Label, Picture, Section, Words, render, shown, write
from hanlin.core.picture import INK, SEAL, canvas, svg
from hanlin.data.corpus.decide import Decision
from hanlin.data.corpus.explain import Side, sides
from hanlin.data.corpus.fairness import Terms, audit
from hanlin.data.corpus.settings import CorpusSettings
from hanlin.data.corpus.store import Store
from hanlin.data.step import Step
from hanlin.data.view import View

REPORT = "report.html"
WORD_DOCUMENTS = 500
"""Documents, evenly spread, whose words are counted."""
FAIR_DOCUMENTS = 300
"""Documents in which groups are looked for; `hanlin data fairness` takes more."""
MOST_WORDS, MOST_CLUSTERS = 40, 10


def write_report(
    told: Mapping[str, Any], store: Store, decision: Decision, settings: CorpusSettings, steps: Sequence[Step]
) -> Path:
    """Write report.html into the run's folder; returns its path.

    Raises:
        StoreError: it cannot be written, or a part is damaged.
        CapacityError: the disk is full.
    """
    kept = next(row for row in told["reasons"] if row["reason"] == "kept")
    lead = Label(
        f"{kept['documents']:,} of {told['documents']:,} documents stay, {kept['characters']:,} characters",
        f"{told['documents']:,} 篇文档留下 {kept['documents']:,} 篇，共 {kept['characters']:,} 字符",
    )
    sections = [section for section in _sections(told, store, decision, settings, steps) if section[1]]
    return write(Path(settings.out) / REPORT, render(settings.name, lead, sections))


def _sections(
    told: Mapping[str, Any], store: Store, decision: Decision, settings: CorpusSettings, steps: Sequence[Step]
) -> Iterator[Section]:
    gone = [row for row in told["reasons"] if row["reason"] != "kept"]
    yield Label("What went, and why", "去掉了什么，为什么"), _reasons(gone, told["documents"])
    yield Label("Sources", "来源"), [_groups(told["sources"], Label("source", "来源"))]
    yield Label("Languages", "语言"), [_groups(told["languages"], Label("language", "语言"))]
    yield Label("Lengths", "长度"), _lengths(store, decision)
    yield Label("Words, without stop words", "词频（去停用词）"), _words(store, decision)
    yield Label("At the bounds", "阈值两侧"), [_side(side) for side in sides(store, decision, steps)]
    yield Label("Fairness of the filters", "过滤器的公平性"), _fairness(store, decision, steps)
    yield Label("Copies", "重复"), _clusters(store, decision)
    yield Label("Mixture", "配比"), _mixture(told["mixture"])
    rows = tuple((row["document"], row["step"], row["what"]) for row in told["refused"])
    head = (Label("document", "文档"), Label("step", "步骤"), Label("what happened", "原因"))
    yield Label("Refused", "拒收"), [Grid(head, rows)] if rows else []
    plain = settings.model_dump(mode="json", exclude_none=True)
    yield Label("Settings", "设置"), [Words(Label("run.toml", "run.toml"), tomli_w.dumps(plain))]


def _reasons(rows: Sequence[Mapping[str, Any]], total: int) -> list[Block]:
    if not rows:
        return []
    rows = sorted(rows, key=lambda row: -row["documents"])
    figure, axes = canvas(0.6 + 0.26 * len(rows))
    axes.barh([row["reason"] for row in rows][::-1], [row["documents"] for row in rows][::-1], color=SEAL)
    picture = Picture(Label("Documents that went", "去掉的文档数"), svg(figure), "documents by reason")
    head = (Label("reason", "原因"), Label("documents", "文档"), Label("share", "占比"), Label("characters", "字符"))
    table = tuple(
        (row["reason"], shown(row["documents"]), f"{row['documents'] / total:.1%}", shown(row["characters"]))
        for row in rows
    )
    return [picture, Grid(head, table)]


def _groups(rows: Sequence[Mapping[str, Any]], name: Label) -> Grid:
    head = (name, Label("documents", "文档"), Label("stay", "留下"), Label("characters stay", "留下的字符"))
    kept = [f"{row['kept']:,} ({row['kept'] / row['documents']:.1%})" for row in rows]
    cells = (
        (row["name"], shown(row["documents"]), stay, shown(row["characters_kept"]))
        for row, stay in zip(rows, kept, strict=True)
    )
    return Grid(head, tuple(cells))


def _lengths(store: Store, decision: Decision) -> list[Block]:
    sizes = store.column("characters").astype(float)
    edges = np.logspace(0, max(2.0, np.log10(max(sizes.max(), 2))), 40)
    figure, axes = canvas(2.4)
    axes.hist(sizes[sizes > 0], edges, color=INK, alpha=0.25, label="read")
    if decision.is_kept.any():
        axes.hist(sizes[decision.is_kept], edges, color=SEAL, alpha=0.8, label="kept")
    axes.set_xscale("log")
    axes.set_xlabel("characters")
    axes.legend(frameon=False)
    return [Picture(Label("Documents by length", "按长度的文档数"), svg(figure), "documents read and kept by length")]


def _words(store: Store, decision: Decision) -> list[Block]:
    kept = np.flatnonzero(decision.is_kept)
    chosen = kept[np.linspace(0, len(kept) - 1, min(WORD_DOCUMENTS, len(kept)), dtype=int)] if len(kept) else kept
    stop = {word for name in ("en", "zh") for word in stopwordsiso.stopwords(name)}
    counts: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for row in store.rows(np.unique(chosen).tolist(), ["text", "language", "is_chinese"]):
        view = View((row["text"] or "")[:20_000], row["language"] or "")
        words = (word.lower() for word in view.wordy)
        counts[view.is_chinese].update(word for word in words if word not in stop and not word.isnumeric())
    titles = {False: Label("English and others", "英文及其他"), True: Label("Chinese", "中文")}
    return [
        Words(title, "  ".join(f"{word} {n:,}" for word, n in counts[is_chinese].most_common(MOST_WORDS)))
        for is_chinese, title in titles.items()
        if counts[is_chinese]
    ]


def _side(side: Side) -> Grid:
    head = (f"{side.name}: {side.bound}", shown(side.documents), Label("text", "文本"))
    rows = tuple(
        (Label("stays", "留下") if it.is_kept else Label("goes", "去掉"), shown(it.value), f"{it.name}: {it.excerpt}")
        for it in side.examples
    )
    return Grid(head, rows)


def _fairness(store: Store, decision: Decision, steps: Sequence[Step]) -> list[Block]:
    found = audit(store, decision, steps, Terms(), FAIR_DOCUMENTS)

    def seen(stands_out: bool) -> tuple[Label | str]:
        return (Label("stands out", "突出") if stands_out else "",)

    who, share = Label(f"of {found.documents:,} documents", f"{found.documents:,} 篇文档中"), Label("dropped", "去掉")
    ends, many = Label("95 % interval", "95% 区间"), Label("documents", "文档")
    removal = tuple(
        (
            f"{it.by}: {it.name}",
            shown(it.documents),
            f"{it.rate:.1%}",
            f"{it.low:.1%} – {it.high:.1%}",
            *seen(it.stands_out),
        )
        for it in found.removal
    )
    swaps = tuple(
        (it.name, shown(it.documents), shown(it.goes), shown(it.comes), f"≤ {it.high:.1%}") for it in found.swaps
    )
    near = tuple(
        (it.name, it.attribute, f"{it.log_odds:+.2f}", f"{it.low:+.2f} – {it.high:+.2f}", *seen(it.low * it.high > 0))
        for it in found.associations
    )
    swap = Label("group words swapped", "互换群体词")
    goes, comes, change = (
        Label("would go", "会被去掉"),
        Label("would stay", "会留下"),
        Label("share that changes", "改变占比"),
    )
    word, odds = Label("stands near", "邻近词"), Label("log odds, first against second", "对数优势比（前者比后者）")
    grids = (
        Grid((who, many, share, ends, ""), removal),
        Grid((swap, many, goes, comes, change), swaps),
        Grid((Label("groups", "群体"), word, odds, ends, ""), near),
    )
    return [grid for grid in grids if grid.rows]


def _clusters(store: Store, decision: Decision) -> list[Block]:
    named, counts = np.unique(decision.clusters[decision.clusters >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_CLUSTERS]
    order = order[counts[order] > 1]
    rows = store.rows(named[order].tolist(), ["path", "text"])
    head = (Label("copies", "份数"), Label("the one that stays", "留下的一份"), Label("text", "文本"))
    table = tuple(
        (shown(int(count)), row["path"], " ".join((row["text"] or "")[:1000].split())[:160])
        for count, row in zip(counts[order], rows, strict=True)
    )
    return [Grid(head, table)] if table else []


def _mixture(shares: Mapping[str, Mapping[str, float]]) -> list[Block]:
    head = (Label("what", "类别"), Label("had", "原有"), Label("is to have", "目标"), Label("epochs", "遍数"))
    rows = tuple((name, f"{it['had']:.1%}", f"{it['has']:.1%}", f"{it['epochs']:.2f}") for name, it in shares.items())
    return [Grid(head, rows)] if rows else []
