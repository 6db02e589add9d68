"""Llama 3 and 4: a JSON object `{"name": …, "parameters": {…}}` that is the whole answer, or follows `<|python_tag|>`.

https://github.com/meta-llama/llama-models/blob/main/models/llama3_1/prompt_format.md
"""

import random

from hanlin.serve.tools.form import Form, Probe, calls
from hanlin.serve.tools.numbers import longer
from hanlin.serve.tools.reading import Chars, Reading

OPENINGS = ("<|python_tag|>",)
IS_BARE = True


def recognise(probed: Probe) -> Form | None:
    """The form, if the template writes it. Most of these templates refuse a turn with two calls."""
    found = calls(probed, r'(?:<\|python_tag\|>)?\{"name":\s*"', r'",\s*"parameters":\s*', r"\}")
    if found is None:
        return None
    call, between = found
    is_marked = call["before"].startswith(OPENINGS[0])
    return Form(OPENINGS[0] if is_marked else "", call["before"], call["middle"], call["after"], between=between)


def read(reading: Reading) -> Chars:
    """One object, or several with semicolons between them."""
    char = yield from reading.space()
    while True:
        yield from reading.calls(char)
        char = yield from reading.space()
        if char != ";":
            return char
        char = yield from reading.space()
        if char == OPENINGS[0][0]:
            yield from reading.literal(OPENINGS[0][1:])
            char = yield from reading.space()


def call_id(rng: random.Random) -> str:
    """A fresh id."""
    return longer(rng)


def fitting_id(given: str) -> str:
    """An id as the template takes it: as it is."""
    return given
