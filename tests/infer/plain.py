"""Stop texts the slow way."""


def cut(text: str, stops: list[str]) -> str:
    """One character at a time, over the whole text: up to the first moment that it ends in a stop text."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            return text[: end - max(len(stop) for stop in found)]
    return text
