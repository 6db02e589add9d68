"""Steps in; curves out: as SVG for a page, light and dark, and as characters for a terminal."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hanlin.core.page import Label
from hanlin.core.picture import INK, SEAL, canvas, svg
from hanlin.train.report.read import Reading

MOST_POINTS = 1000
"""Of a curve; longer ones are drawn as the means of stretches."""
COLOURS = (SEAL, "#3b6ea5", "#4f8a4c", "#b5852b", "#7a5aa6", "#5f6b7a")
MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Curve(NamedTuple):
    """Values over steps."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def is_empty(self) -> bool:
        """No value that can be drawn."""
        return not any(map(math.isfinite, self.values))


def curves(reading: Reading) -> Iterator[tuple[Label, dict[str, Curve]]]:
    """Every picture of a run: its title, and the curves in it by name."""
    steps = reading.steps
    numbers = tuple(step.number for step in steps)
    found = reading.validations
    where = tuple(number for number, _ in found)
    losses = {"training": Curve(numbers, tuple(step.loss for step in steps))}
    losses["validation"] = Curve(where, tuple(one.loss for _, one in found))
    yield Label("Loss, nats", "损失（奈特）"), losses
    bits = tuple(math.nan if one.bits_per_byte is None else one.bits_per_byte for _, one in found)
    yield Label("Bits per byte on validation", "验证集每字节比特数"), {"validation": Curve(where, bits)}
    for name in dict.fromkeys(name for _, one in found for name in one.figures):
        values = tuple(one.figures.get(name, math.nan) for _, one in found)
        yield Label(f"Validation: {name}", f"验证：{name}"), {"validation": Curve(where, values)}
    for name in dict.fromkeys(name for step in steps for name in step.figures):
        values = tuple(step.figures.get(name, math.nan) for step in steps)
        yield Label(f"Training: {name}", f"训练：{name}"), {"training": Curve(numbers, values)}
    yield Label("Learning rate", "学习率"), {"rate": Curve(numbers, tuple(step.rate for step in steps))}
    norms = tuple(step.gradient_norm for step in steps)
    yield Label("Gradient norm", "梯度范数"), {"norm": Curve(numbers, norms)}
    speeds = tuple(step.tokens / step.seconds if step.seconds else math.nan for step in steps)
    yield Label("Tokens per second", "每秒词元数"), {"speed": Curve(numbers, speeds)}
    shares = tuple(math.nan if step.peak_share is None else step.peak_share for step in steps)
    yield Label("MFU: share of this machine's peak", "MFU（占本机峰值）"), {"share": Curve(numbers, shares)}


def thinned(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """The means of equal stretches, no more than `most`; what is no number is left out of them."""
    if len(curve.steps) <= most:
        return curve
    size = math.ceil(len(curve.steps) / most)
    steps, values = [], []
    for begin in range(0, len(curve.steps), size):
        real = [value for value in curve.values[begin : begin + size] if math.isfinite(value)]
        steps.append(curve.steps[min(begin + size, len(curve.steps)) - 1])
        values.append(sum(real) / len(real) if real else math.nan)
    return Curve(tuple(steps), tuple(values))


def picture(lines: Mapping[str, Curve], height: float = 2.6) -> str:
    """Curves in one SVG, whose colours follow the page's."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = canvas(height)
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    for index, (name, curve) in enumerate(lines.items()):  # a name that begins with "_" would be hidden: U+200B
        shown = thinned(curve)
        is_sparse = len(shown.steps) < 40
        mark = {"marker": "o", "markersize": 3} if is_sparse else {}
        axes.plot(
            shown.steps, shown.values, color=COLOURS[index % len(COLOURS)], linewidth=1.3, label=f"\u200b{name}", **mark
        )
    axes.set_xlabel("step 步")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25, linewidth=0.6, color=INK)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    axes.tick_params(colors=INK, labelsize=8)
    axes.xaxis.label.set(color=INK, size=8)
    for spine in axes.spines.values():
        spine.set_edgecolor(INK)
    return svg(figure).replace(INK, "var(--ink)").replace(SEAL, "var(--seal)")


def drawn(lines: Mapping[str, Curve], width: int = 68, height: int = 14) -> list[str]:
    """Curves as lines of characters, one letter each; where several meet, the first shows."""
    points = [
        (index, step, value)
        for index, curve in enumerate(lines.values())
        for step, value in zip(*thinned(curve), strict=True)
        if math.isfinite(value)
    ]
    if not points:
        return ["nothing to draw yet"]
    low, high = min(value for *_, value in points), max(value for *_, value in points)
    last = max(step for _, step, _ in points)
    grid = [[" "] * width for _ in range(height)]
    for index, step, value in reversed(points):
        row = round((high - value) / ((high - low) or 1) * (height - 1))
        grid[row][round(step / max(1, last) * (width - 1))] = MARKS[index % len(MARKS)]
    edge = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}
    out = [f"{edge.get(row, ''):>9} │{''.join(cells).rstrip()}" for row, cells in enumerate(grid)]
    legend = "   ".join(f"{MARKS[index % len(MARKS)]} {name}" for index, name in enumerate(lines))
    return [*out, f"{'':>9} └{'─' * width}", f"{'':>11}0{f'step {last:,}':>{width - 1}}", f"{'':>11}{legend}"]


def best_of(values: Sequence[float | None], *, is_high: bool = False) -> int | None:
    """Which of some figures is best; None if there is nothing to choose."""
    real = [(value, place) for place, value in enumerate(values) if value is not None and math.isfinite(value)]
    if len(real) < 2 or len({value for value, _ in real}) < 2:
        return None
    return (max if is_high else min)(real)[1]
