"""Personal data: counted, and if asked masked or replaced. Texts in, texts without it out; or a bound drops them.

What is found is told in `hanlin/text/personal.py`. A surrogate depends on what it stands for and on `salt` alone: one
address is one surrogate in the whole corpus. It looks alike, with right check digits, and belongs to nobody: it has
regions, prefixes and domains that are not given out, so that it is not found again.
"""

import hashlib
from collections import Counter
from typing import Literal

from pydantic import Field
from stdnum import luhn
from stdnum.cn import ric, uscc

from hanlin.data.step import Change, Tags
from hanlin.data.view import View
from hanlin.text import personal as spans
from hanlin.text.personal import KINDS, Personal, personal

MASKS = {kind: f"[{kind.upper().replace('_', ' ')}]" for kind in KINDS}


class Step(Change):
    """Personal data, by kind."""

    action: Literal["count", "mask", "replace"] = "replace"
    """count: leave it; mask: write [EMAIL]; replace: write a surrogate. To drop documents: max_found = 0."""
    kinds: tuple[str, ...] = KINDS
    """What is looked for."""
    salt: str = ""
    """Keep it secret, and nobody can tell from a surrogate what it stood for by trying."""
    max_found: int | None = None
    """Most pieces of personal data."""
    max_per_thousand: float | None = Field(default=20.0)
    """Most pieces to a thousand characters: lists of people and of addresses have more."""

    def basis(self) -> list[str]:
        """What finds it."""
        return [spans.__file__]

    def change(self, view: View) -> tuple[str, Tags]:
        """The text, and how many pieces there were."""
        found = personal(view.text, self.kinds)
        counts = Counter(it.kind for it in found)
        tags = {"found": len(found), "per_thousand": 1000 * len(found) / max(200, len(view.text))}
        text = view.text
        if self.action != "count":
            for it in reversed(found):
                new = MASKS[it.kind] if self.action == "mask" else surrogate(it, self.salt)
                text = text[: it.start] + new + text[it.end :]
        return text, {**tags, **{kind: counts[kind] for kind in self.kinds if counts[kind]}}


def surrogate(it: Personal, salt: str = "") -> str:
    """What stands in its place: the same each time, like it, and nobody's."""
    plain = it.text.replace(" ", "").replace("-", "").upper()
    number = int.from_bytes(hashlib.blake2b(f"{it.kind}:{plain}".encode(), key=salt.encode()[:64]).digest()[:8])
    if it.kind == "id_card":
        body = f"990000{1930 + number % 80}{1 + number // 80 % 12:02}{1 + number // 960 % 28:02}{number % 997:03}"
        return body + ric.calc_check_digit(body + "0")
    if it.kind == "credit_code":
        body = f"91990000{_letters(number, 9)}"
        return body + uscc.calc_check_digit(body)
    if it.kind == "card":
        body = f"0000{number % 10 ** (len(plain) - 5):0{len(plain) - 5}}"
        return body + luhn.calc_check_digit(body)
    forms = {
        "email": f"person{number % 10**9}@example.com",
        "iban": f"XX00EXAM{number % 10**14:014}",
        "coin": f"coin{number % 10**16:016}",
        "ssn": f"000-{number % 100:02}-{number % 10**4:04}",
        "mobile": f"100{number % 10**8:08}",
        "telephone": f"555-01{number % 100:02}-{number % 10**4:04}",
        "ip": f"2001:db8::{number % 65536:x}:{number // 65536 % 65536:x}"
        if ":" in it.text
        else f"192.0.2.{number % 256}",
        "plate": f"测A·{_letters(number, 5)}",
    }
    return forms[it.kind]


def _letters(number: int, count: int) -> str:
    known = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    return "".join(known[number // len(known) ** at % len(known)] for at in range(count))
