"""The tour trains a model from nothing: raw text in, a model of a million weights out."""

from collections.abc import Iterator

from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.lesson import OPENING, corpus, lesson, tiny_tokenizer
from hanlin.cli.tour.notes import Figures, Line, Note, Piece, Progress

TITLE = {"en": "Learn to write", "zh": "学会写"}
WHY = {
    "en": "Training: guess the next token of a real text, see how wrong the guess was, move every weight a little.",
    "zh": "训练就是：猜一段真实文字的下一个词元，看错了多少，把每个权重挪动一点点。",
}
ROW = {
    "en": "A new model of {weights:,} weights, drawn at random. The first row it gets; marked is what it is graded on:",
    "zh": "一个新模型，{weights:,} 个权重，全是随机数。它读到的第一行，标出的部分计分：",
}
START = {
    "en": "Before the first step it needs {bits:.2f} bits for a byte of text it never saw. It writes:",
    "zh": "第一步之前，一段没见过的文字，它每字节需要 {bits:.2f} 比特。它写道：",
}
THEN = {
    "en": "After {number} steps: {bits:.2f} bits per byte.",
    "zh": "{number} 步之后：每字节 {bits:.2f} 比特。",
}
SPEED = {
    "en": "{tokens:,} tokens at {rate:,.0f} per second{peak}. The weights were moved by Muon.",
    "zh": "共 {tokens:,} 个词元，每秒 {rate:,.0f} 个{peak}。权重由 Muon 移动。",
}
PEAK = {
    "en": ", {share:.0%} of what matrix products reach here",
    "zh": "，为本机矩阵乘法峰值的 {share:.0%}",
}


def run(guide: Guide) -> Iterator[Note]:
    """A tiny model learns the tour's own texts, and is watched."""
    steps = guide.settings.pretrain.steps
    # plays go on from row to row; poems are packed whole, and none sees another
    split, packing = ("file", "wrapped") if guide.lang == "en" else ("blank", "best_fit")
    one = lesson(
        guide,
        "pretrain",
        model={"family": "qwen3", "width": 128, "layers": 4, "heads": 4},
        tokenizer=tiny_tokenizer(guide),
        data={
            "train": [{"path": str(corpus(guide)), "split": split}],
            "validation": [{"path": str(corpus(guide, is_held=True)), "split": split}],
            "context": 128,
            "packing": packing,
        },
        train={
            "steps": steps,
            "batch": 16,
            "lr": 0.02,
            "optimiser": {"use": "muon"},
            "schedule": {"use": "linear"},
            "validate_every": (steps + 1) // 2,
            "samples": [OPENING[guide.lang]],
        },
    )
    row = one.begun()
    weights = sum(weight.numel() for weight in one.work.pupil.network.parameters())
    yield Line(guide.say(ROW, weights=weights))
    yield row
    yield Line(guide.say(START, bits=one.before.bits_per_byte))
    yield Piece(one.sample())
    for found in one.taught():
        if isinstance(found, Progress):
            yield found
        elif found.validation is not None:
            yield Line(guide.say(THEN, number=found.number, bits=found.validation.bits_per_byte))
            yield Piece(found.sample or "")
    yield one.curve()
    share = one.share_of_peak
    peak = guide.say(PEAK, share=share) if share else ""
    tokens = sum(step.tokens for step in one.steps)
    yield Line(guide.say(SPEED, tokens=tokens, rate=one.tokens_per_second, peak=peak))
    yield Figures(
        {
            "weights": weights,
            "bits_per_byte_before": round(one.before.bits_per_byte or 0.0, 4),
            "bits_per_byte_after": round(one.after.bits_per_byte or 0.0, 4),
            "tokens_per_second": round(one.tokens_per_second, 1),
            "share_of_peak": round(share or 0.0, 4),
        }
    )
