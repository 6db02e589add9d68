"""JSON, character by character: whether what has come so far can still become one JSON value, and when it is whole.

The grammar is RFC 8259's, without anything lenient. Nothing is kept but the brackets that are open, so how the text is
cut into pieces cannot matter.
"""

import re

SPACE = " \t\r\n"
DEEPEST = 100
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
WORDS = {word[0]: word for word in ("true", "false", "null")}
CLOSING = {"{": "}", "[": "]"}


class BrokenError(Exception):
    """What came cannot be part of a call; the reason in words."""


class Scan:
    """Where one JSON value stands. `state` is what may come next:

    value, first (a value, or the end of an empty list), first_key, key, colon, after (a comma or the end of what is
    open), string, escape, hex, word, number, whole.
    """

    def __init__(self) -> None:
        self.state = "value"
        self.open: list[str] = []
        """Brackets that are open, and whether a string is a key: '{', '['."""
        self._is_key = False
        self._part = ""  # of a number, a word or an escape

    @property
    def depth(self) -> int:
        """How many brackets are open."""
        return len(self.open)

    def feed(self, char: str) -> None:
        """One more character.

        Raises:
            BrokenError: no JSON goes on like this.
        """
        if self.state in ("string", "escape", "hex"):
            self._in_string(char)
        elif self.state == "word":
            self._in_word(char)
        elif self.state == "number" and char in "0123456789+-.eE":
            self._part += char
        else:
            if self.state == "number":
                if not NUMBER.fullmatch(self._part):
                    raise BrokenError(f"{self._part!r} is no number")
                self._ended()
            if char not in SPACE:
                self._between(char)

    def _in_string(self, char: str) -> None:
        if self.state == "hex":
            self._part += char
            if char not in "0123456789abcdefABCDEF":
                raise BrokenError(f"\\u{self._part} is no character")
            self.state = "string" if len(self._part) == 4 else "hex"
        elif self.state == "escape":
            if char not in '"\\/bfnrtu':
                raise BrokenError(f"\\{char} stands for nothing in JSON")
            self.state, self._part = ("hex" if char == "u" else "string"), ""
        elif char == "\\":
            self.state = "escape"
        elif char == '"':
            if self._is_key:
                self.state = "colon"
            else:
                self._ended()
        elif char < " ":
            raise BrokenError("a JSON string holds a control character")

    def _in_word(self, char: str) -> None:
        self._part += char
        word = WORDS[self._part[0]]
        if not word.startswith(self._part):
            raise BrokenError(f"{self._part!r} is no JSON")
        if self._part == word:
            self._ended()

    def _between(self, char: str) -> None:
        state = self.state
        if state in ("first_key", "key") and char == '"':
            self.state, self._is_key = "string", True
        elif state == "colon" and char == ":":
            self.state = "value"
        elif state == "after" and char == ",":
            self.state = "key" if self.open[-1] == "{" else "value"
        elif self.open and char == CLOSING[self.open[-1]] and state in ("after", "first", "first_key"):
            self.open.pop()
            self._ended()
        elif state in ("value", "first"):
            self._begin(char)
        else:
            raise BrokenError(f"{char!r} does not go on with the JSON")

    def _begin(self, char: str) -> None:
        if char in CLOSING:
            if self.depth == DEEPEST:
                raise BrokenError(f"JSON nested more than {DEEPEST} deep")
            self.open.append(char)
            self.state = "first_key" if char == "{" else "first"
        elif char == '"':
            self.state, self._is_key = "string", False
        elif char in WORDS:
            self.state, self._part = "word", char
        elif char in "-0123456789":
            self.state, self._part = "number", char
        else:
            raise BrokenError(f"{char!r} begins no JSON")

    def _ended(self) -> None:
        self.state = "after" if self.open else "whole"
