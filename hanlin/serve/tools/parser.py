"""A model's answer in, piece by piece; text and tool calls out, the same however the answer is cut.

What only looks like a call comes out as text, unchanged, with a notice. White space next to a call belongs to it: chat
templates write their own there. A strict parser tells arguments as they come, because a constraint vouches for them;
any other waits until they are whole, so that nothing has to be taken back.
"""

import random
from collections.abc import Collection
from types import ModuleType

from hanlin.serve.tools.delta import CallArguments, CallBegin, CallEnd, Delta, Notice, TextDelta, joined
from hanlin.serve.tools.reading import Begin, Chars, End, Piece, Reading
from hanlin.serve.tools.scan import SPACE, BrokenError


class Parser:
    """Make one per answer with `ToolKind.parser`."""

    def __init__(self, kind: ModuleType, names: Collection[str], is_strict: bool, rng: random.Random) -> None:
        """`kind` is a file of `hanlin.serve.tools.kinds`."""
        self._kind = kind
        self._names = frozenset(names)
        self._is_strict = is_strict
        self._rng = rng
        self._deltas: list[Delta] = []
        self._todo = ""
        """What has come and is not read yet; outside of calls also what may be the beginning of an opening."""
        self._reading: Reading | None = None
        self._chars: Chars | None = None
        self._held: list[str] = []
        """Read since the opening, or since the last call, and not told: text, should this be no call."""
        self._count = 0
        self._is_at_start = True
        self._is_after_call = False
        self._is_bare = False
        """What is being read has no mark of its form."""

    def push(self, text: str) -> list[Delta]:
        """What is certain now that this has come."""
        self._todo += text
        while self._todo and (self._in_call() if self._reading else self._in_text()):
            pass
        return self._taken()

    def finish(self) -> list[Delta]:
        """What is left. Nothing may be pushed any more."""
        reading = self._reading
        if reading is None:
            self._say(self._todo)
        elif reading.is_within:
            what = "the answer ended within the arguments of a tool call, which is not whole"
            self._deltas += [CallEnd(self._count - 1, is_whole=False), Notice(what)]
        elif not reading.is_framing:
            self._not_a_call(reading, "the answer ended within it")
        self._todo, self._held, self._reading = "", [], None
        return self._taken()

    def _taken(self) -> list[Delta]:
        deltas, self._deltas = self._deltas, []
        return joined(deltas)

    def _in_text(self) -> bool:
        """Read on outside of calls; whether there is more to read."""
        if self._is_after_call or self._is_at_start:
            rest = self._todo.lstrip(SPACE)
            if self._is_at_start and rest:
                self._is_at_start = False
                if rest[0] in "{`":
                    self._open(self._todo[: len(self._todo) - len(rest) + 1], rest[1:], rest[0])
                    return True
            if self._is_after_call:
                self._todo = rest
            if not rest:
                return False
        places = {self._todo.find(opening): opening for opening in self._kind.OPENINGS if opening in self._todo}
        if places:
            place, opening = min(places.items())
            before, rest = self._todo[:place], self._todo[place + len(opening) :]
            said = before.rstrip(SPACE)
            self._say(said)
            self._open(before[len(said) :] + opening, rest)
            return True
        certain = self._todo[: len(self._todo) - self._maybe()].rstrip(SPACE)
        self._say(certain)
        self._todo = self._todo[len(certain) :]
        return False

    def _maybe(self) -> int:
        """How many characters at the end may begin an opening."""
        return max(
            size
            for opening in self._kind.OPENINGS
            for size in range(len(opening))
            if not size or self._todo.endswith(opening[:size])
        )

    def _open(self, held: str, rest: str, bare: str = "") -> None:
        """A call may begin: after an opening, or with the character `bare`."""
        self._held, self._todo = [held], rest
        reading = Reading(self._names, self._is_strict)
        reading.is_likely = not bare
        self._is_bare = bool(bare)
        chars = reading.bare(bare) if bare else self._kind.read(reading)
        next(chars)
        self._reading, self._chars = reading, chars

    def _in_call(self) -> bool:
        """Read what may be a call, to its end if that has come; whether there is more to read."""
        reading, chars = self._reading, self._chars
        assert reading is not None and chars is not None, "a call is open"
        for place, char in enumerate(self._todo):
            was_framing = reading.is_framing
            try:
                chars.send(char)
            except StopIteration as end:
                self._tell(reading)
                self._todo = end.value + self._todo[place + 1 :]
                self._held, self._reading, self._is_after_call = [], None, True
                return True
            except BrokenError as error:
                self._tell(reading)
                self._todo = self._todo[place:]
                self._broken(reading, error)
                return True
            if self._tell(reading):
                self._held = []
            elif was_framing and not reading.is_framing:  # the next call; what stood between belongs to the form
                self._held = [char]
            else:
                self._held.append(char)
        self._todo = ""
        return False

    def _broken(self, reading: Reading, error: BrokenError) -> None:
        """What is held is no call; the character that told so is yet to be read."""
        if reading.is_within:
            what = f"the arguments of a tool call are not whole: {error}"
            self._deltas += [CallEnd(self._count - 1, is_whole=False), Notice(what)]
        elif reading.is_framing:
            self._say("".join(self._held).lstrip(SPACE))
        else:
            self._not_a_call(reading, str(error))
        self._held, self._reading = [], None

    def _tell(self, reading: Reading) -> bool:
        """Pass on what was found; whether there was something."""
        steps, reading.steps = reading.steps, []
        for step in steps:
            if isinstance(step, Begin):
                if self._is_bare and not self._kind.IS_BARE:
                    opening = self._kind.OPENINGS[0]
                    self._deltas.append(
                        Notice(f"the model left out {opening}; JSON that names a tool is read as a call")
                    )
                    self._is_bare = False
                self._deltas.append(CallBegin(self._count, step.id or self._kind.call_id(self._rng), step.name))
                self._count += 1
            elif isinstance(step, Piece):
                self._deltas.append(CallArguments(self._count - 1, step.text))
            elif isinstance(step, End):
                self._deltas.append(CallEnd(self._count - 1))
        return bool(steps)

    def _not_a_call(self, reading: Reading, reason: str) -> None:
        if reading.is_likely:
            self._deltas.append(Notice(f"what looked like a tool call is text: {reason}"))
        self._say("".join(self._held))

    def _say(self, text: str) -> None:
        if text:
            self._deltas.append(TextDelta(text))
            self._is_after_call = self._is_at_start = False
