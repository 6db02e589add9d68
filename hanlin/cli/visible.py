"""A token as a table shows it: nothing invisible, nothing half."""

MARKS = {" ": "␣", "\n": "↵", "\r": "␍", "\t": "⇥", "\u00a0": "⍽", "\u3000": "□", "\ufeff": "‹BOM›", "\u200b": "‹ZWSP›"}


def visible(raw: bytes) -> str:
    """A token's bytes with spaces and line breaks made visible; bytes that are no whole character as <E4>."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return "".join(f"<{byte:02X}>" if byte > 0x7E or byte < 0x20 else _mark(chr(byte)) for byte in raw)
    return "".join(_mark(character) for character in text)


def harmless(text: str) -> str:
    """Text for a terminal: line breaks and tabs stay, what could steer the terminal is made visible."""
    if text.isprintable():
        return text
    return "".join(character if character in "\n\t" or character >= "\xa0" else _plain(character) for character in text)


def _plain(character: str) -> str:
    return character if character.isprintable() else f"‹U+{ord(character):04X}›"


def _mark(character: str) -> str:
    return MARKS.get(character) or _plain(character)
