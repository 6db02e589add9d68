"""Hermes, Qwen and many more: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, one after another.

https://github.com/NousResearch/Hermes-Function-Calling
"""

import random

from hanlin.serve.tools.form import Form, Probe, calls
from hanlin.serve.tools.numbers import longer
from hanlin.serve.tools.reading import Chars, Reading

OPENINGS = ("<tool_call>",)
IS_BARE = False
FORM = Form(
    opening="<tool_call>",
    before='<tool_call>\n{"name": "',
    middle='", "arguments": ',
    after="}\n</tool_call>",
    between="\n",
)
"""As we write it ourselves."""


def recognise(probed: Probe) -> Form | None:
    """The form, if the template writes it."""
    found = calls(probed, r'<tool_call>\s*\{"name":\s*"', r'",\s*"arguments":\s*', r"\}\s*</tool_call>")
    if found is None:
        return None
    call, between = found
    return Form("<tool_call>", call["before"], call["middle"], call["after"], between=between)


def read(reading: Reading) -> Chars:
    """What follows `<tool_call>`; the closing mark may be missing."""
    yield from reading.calls((yield from reading.space()))
    return (yield from reading.closing("</tool_call>"))


def call_id(rng: random.Random) -> str:
    """A fresh id."""
    return longer(rng)


def fitting_id(given: str) -> str:
    """An id as the template takes it: as it is."""
    return given
