"""A tokenizer in; what it puts around a text out, as a decoder learns and reads it."""

from hanlin.text.tokenizer import Tokenizer


def frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """What this tokenizer itself puts before and after a text when it is served."""
    bare, whole = (tokenizer.encode("a", add_special=is_whole) for is_whole in (False, True))
    size = len(bare)
    at = next((at for at in range(len(whole) - size + 1) if whole[at : at + size] == bare), 0)
    return whole[:at], whole[at + size :]


def ended(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """What stands before and after a text that a decoder learns: its own beginning mark, and the mark to stop at."""
    begin, end = frame(tokenizer)
    return begin, end or list(tokenizer.eos[:1])
