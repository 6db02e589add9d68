"""Ids of calls, drawn from a generator that the caller owns."""

import random
import string

LETTERS = string.ascii_letters + string.digits


def short(rng: random.Random, length: int) -> str:
    """So many letters and digits."""
    return "".join(rng.choice(LETTERS) for _ in range(length))


def longer(rng: random.Random) -> str:
    """As OpenAI's API writes them."""
    return f"call_{short(rng, 24)}"
