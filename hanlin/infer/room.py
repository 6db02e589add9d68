"""How many positions an answer needs: a prompt's length and the settings in, the room for both out."""

from hanlin.core.errors import CapacityError
from hanlin.infer.sampling import SLIDE, Sampling


def room(prompt: int, sampling: Sampling, context: int) -> int:
    """Positions to hold: prompt and answer, or the window that slides.

    Raises:
        CapacityError: they exceed the context window, and the beginning may not be forgotten.
    """
    wanted = prompt + sampling.max_tokens
    if sampling.overflow == "slide":
        return min(wanted, context)
    if wanted > context:
        asked = f"the prompt's {prompt:,} tokens and max_tokens {sampling.max_tokens:,}"
        what = f"{asked} exceed the context window of {context:,}"
        left = context - prompt
        fix = f"ask for at most {left:,} tokens" if left > 0 else f"shorten the prompt to under {context:,} tokens"
        raise CapacityError(what, f"{fix}; {SLIDE}")
    return wanted
