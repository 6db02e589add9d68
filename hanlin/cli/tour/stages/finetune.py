"""The tour teaches the model a task: a small addition to its weights learns from 200 conversations."""

import json
from collections.abc import Iterator

from hanlin.cli.models import fetched
from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.lesson import folder, lesson, text_file
from hanlin.cli.tour.notes import Figures, Line, Note, Piece, Progress
from hanlin.infer.model import Model
from hanlin.model.store import DEFAULT
from hanlin.train.export.trained import open_trained

TITLE = {"en": "Learn a task", "zh": "学会一件事"}
WHY = {
    "en": "Fine-tuning: a trained model sees how a task is done. LoRA adds little to it and leaves its weights alone.",
    "zh": "微调：让训练好的模型看别人怎么做。LoRA 只加一小块，原来的权重不动。",
}
NO_TEMPLATE = {
    "en": "This model has no chat template: it continues texts, it does not take orders.",
    "zh": "这个模型没有对话模板：它只会续写，不会接受吩咐。",
}
TASK = {
    "en": "An order in words is to become JSON. Asked, before: {question}",
    "zh": "要把一句订单变成 JSON。之前提问：{question}",
}
ROW = {
    "en": "A row of the training data. Only what the assistant says is graded, and that it stops:",
    "zh": "训练数据的一行。只有助手说的话计分，包括它在哪里停下：",
}
AFTER = {
    "en": "After {steps} steps of {rows} rows; {learning:,} weights learnt, {weights:,} stayed. The same question:",
    "zh": "{steps} 步，每步 {rows} 行：学的是新加的 {learning:,} 个权重，原有的 {weights:,} 个不动。同一个问题：",
}
RIGHT = {"en": "That is exactly the order.", "zh": "与订单完全一致。"}
WRONG = {"en": "Right would be: {answer}", "zh": "正确的是：{answer}"}
LOSS = {
    "en": "On orders it never saw, the loss fell from {before:.2f} to {after:.3f}, at {rate:,.0f} tokens per second.",
    "zh": "在没见过的订单上，损失从 {before:.2f} 降到 {after:.3f}，每秒 {rate:,.0f} 个词元。",
}
ANSWER_TOKENS = 60


def run(guide: Guide) -> Iterator[Note]:
    """One question before and after."""
    name = guide.settings.model.use or DEFAULT
    if guide.model.tokenizer.template is None:
        yield Line(guide.say(NO_TEMPLATE))
        return
    first = json.loads(text_file("orders-held.jsonl").read_text("utf-8").splitlines()[0])
    question, wanted = first["messages"]
    yield Line(guide.say(TASK, question=question["content"]))
    yield from answered(guide.model, question)
    fetched(name)
    one = lesson(
        guide,
        "finetune",
        model={"use": name},
        adapter={"use": "lora", "rank": 16},
        objective={"use": "sft"},
        data={
            "train": str(text_file("orders.jsonl")),
            "validation": str(text_file("orders-held.jsonl")),
            "context": 256,
        },
        train={
            "steps": guide.settings.finetune.steps,
            "batch": 2,
            "lr": 1e-3,
            "schedule": {"use": "cosine", "warmup": 0.05},
            "validate_every": guide.settings.finetune.steps,
            "validation_rows": 8,
        },
        gate={"allow": ["overlap"]},  # the orders are made from six sentences
    )
    row = one.begun()
    yield Line(guide.say(ROW))
    yield row
    for found in one.taught():
        if isinstance(found, Progress):
            yield found
    learning = sum(weight.numel() for weight in one.work.learner.learning().values())
    weights = sum(weight.numel() for weight in one.work.pupil.network.parameters()) - learning
    yield Line(guide.say(AFTER, steps=one.work.steps, rows=one.work.batch, learning=learning, weights=weights))
    said = yield from answered(Model(open_trained(folder(guide, "finetune")).checkpoint, name), question)
    is_right = said.strip() == wanted["content"]
    yield Line(guide.say(RIGHT) if is_right else guide.say(WRONG, answer=wanted["content"]))
    rate = one.tokens_per_second
    yield Line(guide.say(LOSS, before=one.before.loss, after=one.after.loss, rate=rate))
    yield Figures(
        {
            "loss_before": round(one.before.loss, 4),
            "loss_after": round(one.after.loss, 4),
            "is_exact": int(is_right),
            "tokens_per_second": round(rate, 1),
        }
    )


def answered(model: Model, question: dict[str, str]) -> Iterator[Note]:
    """The answer as it streams; returns the whole."""
    answer = ""
    for event in model.chat([question], max_tokens=ANSWER_TOKENS):
        answer += event.text
        yield Piece(event.text)
    return answer
