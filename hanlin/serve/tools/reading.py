"""A call's text in, character by character; its name and arguments out as soon as they are certain.

`Reading` is what the kinds' `read` generators work with: each `yield` waits for the next character. A generator that
returns is past the calls; what it returns is text that it read and that is not its own, often "".
"""

import json
from collections.abc import Collection, Generator
from dataclasses import dataclass

from hanlin.serve.tools.scan import SPACE, BrokenError, Scan

ARGUMENTS = ("arguments", "parameters")
Chars = Generator[None, str, str]


@dataclass(frozen=True)
class Begin:
    """A call of this name begins."""

    name: str
    id: str = ""
    """If the model gave one."""


@dataclass(frozen=True)
class Piece:
    """More of its arguments."""

    text: str


@dataclass(frozen=True)
class End:
    """It is whole."""


@dataclass(frozen=True)
class Framed:
    """What came since the last call belongs to it."""


Step = Begin | Piece | End | Framed


class Reading:
    """What has been found since an opening."""

    def __init__(self, names: Collection[str], is_strict: bool) -> None:
        """`is_strict`: arguments are told before they are whole; something else vouches for them."""
        self.names = names
        self.is_strict = is_strict
        self.steps: list[Step] = []
        """Not yet taken by who drives this."""
        self.is_within = False
        """A call has begun, and is not whole."""
        self.is_framing = False
        """A call is over, and only what belongs to its form has come since."""
        self.is_likely = False
        """What has come since can hardly be anything but a call: a mark of its form, or the name of a tool."""

    def space(self) -> Chars:
        """The first character that is no white space."""
        while (char := (yield)) in SPACE:
            pass
        return char

    def literal(self, text: str) -> Chars:
        """Exactly this."""
        for expected in text:
            if (char := (yield)) != expected:
                raise BrokenError(f"{char!r} stands where {expected!r} belongs")
        return ""

    def closing(self, mark: str) -> Chars:
        """White space, then `mark`; a model may leave it out."""
        taken = yield from self.space()
        while mark.startswith(taken):
            if taken == mark:
                return ""
            taken += yield
        return taken

    def calls(self, char: str) -> Chars:
        """A call's JSON object, or a list of them, that begins with `char`."""
        if char == "{":
            return (yield from self._object())
        if char != "[":
            raise BrokenError(f"{char!r} begins no call")
        char = yield from self.space()
        while char == "{":
            yield from self._object()
            char = yield from self.space()
            if char == "]":
                return ""
            if char != ",":
                raise BrokenError(f"{char!r} stands between two calls")
            char = yield from self.space()
        raise BrokenError(f"{char!r} begins no call")

    def bare(self, char: str) -> Chars:
        """Calls without the marks of their form, as models write them that were taught several: objects, perhaps in a
        block of code, with commas, semicolons or white space between them."""
        while True:
            is_fenced = char == "`"
            if is_fenced:
                yield from self.literal("``")
                char = yield from self._language()
            if char != "{":
                raise BrokenError(f"{char!r} begins no call")
            while char == "{":
                yield from self._object(is_bare=True)
                char = yield from self.space()
                if char and char in ",;":
                    char = yield from self.space()
            if is_fenced and char == "`":
                yield from self.literal("``")
                char = yield from self.space()
            if char not in "{`":
                return char

    def _language(self) -> Chars:
        char = yield
        if char == "j":
            yield from self.literal("son")
            char = yield
        return (yield from self.space()) if char in SPACE else char

    def _object(self, is_bare: bool = False) -> Chars:
        envelope = Envelope(self, is_bare)
        envelope.feed("{")
        while envelope.scan.state != "whole":
            envelope.feed((yield))
        envelope.finish()
        self.steps.append(Framed())
        return ""

    def arguments(self, name: str, char: str, call_id: str = "") -> Chars:
        """The arguments of a call whose name stands outside of them."""
        if char != "{":
            raise BrokenError("the arguments are no JSON object")
        raw: list[str] = []
        scan = Scan()
        if self.is_strict:
            self.begin(name, call_id)
        while True:
            scan.feed(char)
            raw.append(char)
            if self.is_strict:
                self.steps.append(Piece(char))
            if scan.state == "whole":
                break
            char = yield
        if not self.is_strict:
            self.begin(name, call_id)
            self.steps.append(Piece("".join(raw)))
        self.end()
        return ""

    def check(self, name: object) -> str:
        """The name of a tool there is."""
        if not isinstance(name, str) or name not in self.names:
            raise BrokenError(f"{name!r} is none of the tools")
        self.is_likely = True
        return name

    def begin(self, name: str, call_id: str = "") -> None:
        """A call begins."""
        self.steps.append(Begin(name, call_id))
        self.is_within, self.is_framing = True, False

    def end(self) -> None:
        """It is whole."""
        self.steps.append(End())
        self.is_within, self.is_framing = False, True


class Envelope:
    """A JSON object with a call's name and arguments, in either order; other keys are passed over."""

    def __init__(self, reading: Reading, is_bare: bool = False) -> None:
        """`is_bare`: nothing but its keys says that it is a call, so the first one has to."""
        self.reading = reading
        self._is_bare = is_bare
        self.scan = Scan()
        self.name: str | None = None
        self.arguments: str | None = None
        reading.is_framing = False
        self._is_told = False
        self._raw: list[str] = []  # of the key or value that is being read
        self._key = ""
        self._seen: set[str] = set()
        self._is_in = ""  # "key", "value"

    def feed(self, char: str) -> None:
        """One more character.

        Raises:
            BrokenError: this is no call of a tool.
        """
        before = self.scan.state if self.scan.depth == 1 else ""
        self.scan.feed(char)
        if char and char not in SPACE:
            if before in ("first_key", "key") and char == '"':
                self._is_in, self._raw = "key", []
            elif before == "value":
                self._is_in, self._raw = "value", []
                self._begins(char)
        if not self._is_in:
            return
        self._raw.append(char)
        if self._is_streaming:
            self.reading.steps.append(Piece(char))
        if self.scan.depth != 1:
            if not self.scan.depth:  # a number was the last
                self._is_in = ""
        elif self._is_in == "key" and self.scan.state == "colon":
            self._is_in, self._key = "", str(json.loads("".join(self._raw)))
            role = "arguments" if self._key in ARGUMENTS else self._key
            if self._is_bare and not self._seen and role not in ("name", "arguments", "type"):
                raise BrokenError(f"it begins with {self._key!r}")
            if role in self._seen:
                raise BrokenError(f"{self._key!r} comes twice")
            self._seen.add(role)
        elif self._is_in == "value" and self.scan.state in ("after", "key"):
            self._is_in = ""
            self._ends()

    @property
    def _is_streaming(self) -> bool:
        return self._is_told and self.reading.is_within

    def _begins(self, char: str) -> None:
        if self._key == "name" and char != '"':
            raise BrokenError("the name is no text")
        if self._key in ARGUMENTS:
            if char not in '{"n':
                raise BrokenError("the arguments are no JSON object")
            if char == "{" and self.name is not None and self.reading.is_strict:
                self.reading.begin(self.name)
                self._is_told = True

    def _ends(self) -> None:
        if self._is_streaming:
            self.reading.end()
        elif self._key == "name":
            self.name = self.reading.check(json.loads("".join(self._raw)))
        elif self._key in ARGUMENTS:
            self.arguments = _object("".join(self._raw))
        if self.name is not None and self.arguments is not None:
            self._tell()

    def finish(self) -> None:
        """The object is whole.

        Raises:
            BrokenError: it names no tool.
        """
        if self.name is None:
            raise BrokenError("it names no tool")
        if "arguments" not in self._seen:
            self.arguments = "{}"
        self._tell()

    def _tell(self) -> None:
        if not self._is_told:
            assert self.name is not None and self.arguments is not None, "a call is told when both are known"
            self._is_told = True
            self.reading.begin(self.name)
            self.reading.steps.append(Piece(self.arguments))
            self.reading.end()


def _object(raw: str) -> str:
    """Arguments as a JSON object: some models write them as a text that holds one, or null for none."""
    if raw == "null":
        return "{}"
    inner = json.loads(raw) if raw.startswith('"') else raw
    if any("\ud800" <= char <= "\udfff" for char in inner):
        raise BrokenError("the arguments hold half a character")
    scan = Scan()
    for char in inner:
        scan.feed(char)
    if scan.state != "whole" or not inner.lstrip(SPACE).startswith("{"):
        raise BrokenError("the arguments are no JSON object")
    return inner
