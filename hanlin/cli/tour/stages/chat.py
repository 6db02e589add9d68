"""The tour asks a question: the conversation goes through the model's own template."""

from collections.abc import Iterator

from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.notes import Figures, Line, Note, Piece

TITLE = {"en": "A conversation", "zh": "一次对话"}
WHY = {
    "en": "A chat is text too: a template marks who speaks. A model answers well only in the one it was trained in.",
    "zh": "对话也是文字：模板标明谁在说话。只有用训练时的模板，模型才答得好。",
}
ASKED = {"en": "Asked: {question}", "zh": "提问：{question}"}
SEEN = {"en": "What the model really reads:", "zh": "模型真正读到的是："}
NO_TEMPLATE = {
    "en": "This model has no chat template: it continues texts, it does not converse.",
    "zh": "这个模型没有对话模板：它只会续写，不会对话。",
}
QUESTION = "What is the capital of France?"


def run(guide: Guide) -> Iterator[Note]:
    """One question, what it becomes, and the answer."""
    model = guide.model
    template = model.tokenizer.template
    if template is None:
        yield Line(guide.say(NO_TEMPLATE))
        return
    messages = [{"role": "user", "content": QUESTION}]
    yield Line(guide.say(ASKED, question=QUESTION))
    yield Line(guide.say(SEEN))
    yield Piece(template.render(messages))
    answer = ""
    for event in model.chat(messages, max_tokens=60):
        answer += event.text
        yield Piece(event.text)
    yield Figures({"question": QUESTION, "answer": answer})
