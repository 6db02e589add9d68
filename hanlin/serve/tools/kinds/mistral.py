"""Mistral: `[TOOL_CALLS] [{"name": …, "arguments": {…}}, …]`, and the newer `[TOOL_CALLS]name[ARGS]{…}` for each call.

https://github.com/mistralai/mistral-common. Ids are nine letters and digits; templates refuse others.
"""

import hashlib
import random
import re

from hanlin.serve.tools.form import IDS, Form, Probe, calls
from hanlin.serve.tools.numbers import LETTERS, short
from hanlin.serve.tools.reading import Chars, Reading
from hanlin.serve.tools.scan import SPACE, BrokenError

OPENINGS = ("[TOOL_CALLS]",)
IS_BARE = False
ID_LENGTH = 9
GIVEN_ID = "[CALL_ID]"


def recognise(probed: Probe) -> Form | None:
    """The form, if the template writes it. Ids within a list are the server's: they are not asked of the model."""
    given_id = rf'(?:,\s*"id":\s*"(?:{IDS[0]}|{IDS[1]})")?'
    listed = calls(probed, r'\{"name":\s*"', r'",\s*"arguments":\s*', given_id + r"\s*\}")
    lead = re.search(r'(\[TOOL_CALLS\]\s*\[)\s*\{"name"', probed.one)
    if listed and lead:
        call, between = listed
        return Form(OPENINGS[0], call["before"], call["middle"], "}", first=lead[1], last="]", between=between)
    named = calls(probed, r"\[TOOL_CALLS\]", rf"(?:\[CALL_ID\]{IDS[0]})?\[ARGS\]", "")
    if named is None:
        return None
    call, between = named
    return Form(OPENINGS[0], call["before"], call["middle"].replace(IDS[0], "\0"), "", between=between)


def read(reading: Reading) -> Chars:
    """A list, one object, or name, perhaps id, and arguments."""
    char = yield from reading.space()
    if char in "[{":
        return (yield from reading.calls(char))
    name = ""
    while char not in "[{":
        name += char
        if not any(known.startswith(name.rstrip(SPACE)) for known in reading.names):
            raise BrokenError(f"{name!r} begins the name of none of the tools")
        char = yield
    name, call_id = reading.check(name.rstrip(SPACE)), ""
    if char == "[":
        mark = "["
        while char != "]":
            char = yield
            mark += char
            if not any(known.startswith(mark) for known in (GIVEN_ID, "[ARGS]")):
                raise BrokenError(f"{mark!r} stands after the name")
        if mark == GIVEN_ID:
            while (char := (yield)) in LETTERS and len(call_id) < ID_LENGTH:
                call_id += char
            if char != "[" or len(call_id) != ID_LENGTH:
                raise BrokenError(f"the id of the call is not {ID_LENGTH} letters and digits")
            yield from reading.literal("ARGS]")
        char = yield from reading.space()
    yield from reading.arguments(name, char, call_id)
    return ""


def call_id(rng: random.Random) -> str:
    """A fresh id."""
    return short(rng, ID_LENGTH)


def fitting_id(given: str) -> str:
    """An id as the template takes it; the same for the same."""
    if len(given) == ID_LENGTH and set(given) <= set(LETTERS):
        return given
    return hashlib.sha256(given.encode()).hexdigest()[:ID_LENGTH]
