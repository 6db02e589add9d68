"""Figures as people read them."""

import time

from hanlin.studio.words.word import Language


def size(count: float) -> str:
    """ "98.4 MB"."""
    for unit, bytes_ in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{count / bytes_:,.1f} {unit}"
    return f"{count:,.0f} B"


def amount(count: float) -> str:
    """ "134.5 M"."""
    for unit, many in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= many:
            return f"{count / many:,.1f} {unit}"
    return f"{count:,.0f}"


def duration(seconds: float, language: Language = "en") -> str:
    """ "1 h 20 min"."""
    hour, minute, second = ("h", "min", "s") if language == "en" else ("小时", "分", "秒")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} {hour} {minutes} {minute}"
    return f"{minutes} {minute} {rest} {second}" if minutes else f"{rest} {second}"


def moment(seconds: float) -> str:
    """A time of day, with the date."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
