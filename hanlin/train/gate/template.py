"""Does the run speak to the model in the chat format that the model knows? The wrong one costs tens of points."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hanlin.core.errors import HanlinError, shown
from hanlin.text.template import ChatTemplate
from hanlin.train.gate.report import Refusal
from hanlin.train.gate.survey import Case

USER = {"role": "user", "content": "What is 2 + 2?"}
ANSWER = {"role": "assistant", "content": "4.\n"}
SYSTEM = {"role": "system", "content": "Answer briefly."}
TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}},
}
PROBES: tuple[tuple[str, Sequence[Mapping[str, Any]], bool, bool], ...] = (
    ("a question", (USER,), True, False),
    ("a question and its answer", (USER, ANSWER), False, False),
    ("a system message", (SYSTEM, USER, ANSWER), False, False),
    ("two turns", (USER, ANSWER, {"role": "user", "content": "那么三加三呢？"}), True, False),
    ("a tool", (USER,), True, True),
)
"""What is said, the conversation, whether the answer is opened, whether there is a tool."""


def template(case: Case) -> Iterator[Refusal | str]:
    """The run's template writes what the base model's own would."""
    inputs = case.inputs
    if not inputs.is_chat or inputs.base is None or inputs.base is inputs.tokenizer:
        return
    ours, theirs = inputs.tokenizer.template, inputs.base.template
    assert ours is not None
    if theirs is None:
        yield "the base model has no chat template: it will learn this run's, from these examples alone"
        return
    for name, turns, opens, has_tool in PROBES:
        mine, known = (_rendered(one, turns, opens, has_tool) for one in (ours, theirs))
        if mine != known:
            place = next((at for at in range(min(len(mine), len(known))) if mine[at] != known[at]), None)
            place = min(len(mine), len(known)) if place is None else place
            around = slice(max(0, place - 16), place + 32)
            what = (
                f"the chat template is not the base model's: for {name} it writes {shown(mine[around])}, "
                f"the model knows {shown(known[around])} (from character {place} on)"
            )
            yield Refusal("template", what, "leave the base model's own template in place; it was trained with it")
            return


def _rendered(template: ChatTemplate, turns: Sequence[Mapping[str, Any]], opens: bool, has_tool: bool) -> str:
    """What a template writes; what it says where it refuses."""
    try:
        return template.render(turns, add_generation_prompt=opens, tools=[TOOL] if has_tool else None)
    except HanlinError:
        return "(nothing: it refuses this conversation)"
