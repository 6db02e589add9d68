"""What a parser of tool calls yields: text and calls in the order they come. Frozen values, no behaviour."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextDelta:
    """More of what is said."""

    text: str


@dataclass(frozen=True)
class CallBegin:
    """Call `index` of this answer begins: 0, 1, …"""

    index: int
    id: str
    name: str


@dataclass(frozen=True)
class CallArguments:
    """More of a call's arguments: the pieces joined are a JSON object, as the model wrote it."""

    index: int
    text: str


@dataclass(frozen=True)
class CallEnd:
    """A call is over."""

    index: int
    is_whole: bool = True
    """False if the answer ended, or went wrong, within its arguments; that only happens in a strict parser."""


@dataclass(frozen=True)
class Notice:
    """Something the user should know: text that only looked like a call, a call that was cut."""

    what: str


Delta = TextDelta | CallBegin | CallArguments | CallEnd | Notice


def joined(deltas: list[Delta]) -> list[Delta]:
    """The same with neighbouring pieces of text, and of arguments, as one."""
    whole: list[Delta] = []
    for delta in deltas:
        last = whole[-1] if whole else None
        if isinstance(delta, TextDelta) and isinstance(last, TextDelta):
            whole[-1] = TextDelta(last.text + delta.text)
        elif isinstance(delta, CallArguments) and isinstance(last, CallArguments) and last.index == delta.index:
            whole[-1] = CallArguments(last.index, last.text + delta.text)
        else:
            whole.append(delta)
    return whole
