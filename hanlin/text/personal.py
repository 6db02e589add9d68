"""A text in; the personal data in it out, as spans: addresses, numbers and papers that lead to one person or firm.

IBANs, IP addresses, coins, American social security and telephone numbers by presidio's recognisers, which see Chinese
characters as spaces: they look for ends of words. Chinese identity cards by the check digit of GB 11643 (python-stdnum
refuses districts that were founded after a birth), unified credit codes (GB 32100) and bank cards by python-stdnum;
mobile numbers and licence plates (GA 36) have no check digit, only a form. What is reserved for examples is not found.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from stdnum import luhn
from stdnum.cn import uscc

from hanlin.core.errors import ConfigError

EDGE, END = r"(?<![\w.])", r"(?![\w]|\.\d)"
WIDE = re.compile("[\u3000-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U000323af]")
VERSION = re.compile(r"(?:\bv|ver|version|release|rfc|版本|内核|kernel|linux|section|chapter|\.so)[ .:=-]*$", re.I)
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w-])", re.ASCII)
RESERVED = re.compile(r"(?:^|[@.])(?:example\.(?:com|org|net)|[\w-]+\.(?:example|invalid|test|local))$", re.I)
ID_CARD = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{5}(?:19|20)\d{9}[\dXx](?![0-9A-Za-z])")
CREDIT_CODE = re.compile(r"(?<![0-9A-Za-z])[159ANY][1-59][1-9]\d{5}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Za-z])")
MOBILE = re.compile(r"(?<![\w.+-])(?:\+?86[- ]?)?1[3-9]\d(?:\d{8}|[- ]\d{4}[- ]\d{4})(?![0-9A-Za-z]|\.\d)", re.ASCII)
BANK_CARD = re.compile(
    r"(?<![\w.-])(?:62\d{2}|4\d{3}|5[1-5]\d{2}|3[47]\d{2}|35\d{2}|60\d{2}|65\d{2})[- ]?\d{4}[- ]?\d{4}"
    r"[- ]?\d{3,4}(?:[- ]?\d{3})?(?![\w-]|\.\d)",
    re.ASCII,
)
PLATE = re.compile(
    r"(?<![A-Za-z0-9])[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·•. ]?"
    r"(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳]|[DF][A-HJ-NP-Z0-9]\d{4}|\d{5}[DF])(?![A-Za-z0-9])"
)
TELEPHONE = re.compile(r"(?<![\w.])(?:\+|\()?\d[\d ()./-]{6,18}\d(?![\w]|\.\d)", re.ASCII)
CALL = re.compile(r"\+\d|\(\d{2,4}\)|\b(?:tel|phone|call|fax|mobile|cell)\b|电话|手机|传真|電話|手機", re.I)
NEAR = 24
"""Characters before a number in which it must be called a telephone's, if its form does not say so."""
EXAMPLE_IP = re.compile(
    r"^(?:10\.|127\.|0\.|169\.254\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|192\.0\.2\.|198\.51\.100\.|203\.0\.113\."
    r"|22[4-9]\.|2[3-5]\d\.|fe80:|f[cd]|ff|2001:db8:|::1?$)",
    re.I,
)
"""Private, for examples, or to many; of IPv6, what has fewer than four colons is mostly C++."""
PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 91".split()
)
KINDS = ("id_card", "credit_code", "email", "card", "iban", "coin", "ssn", "mobile", "telephone", "ip", "plate")


@dataclass(frozen=True, order=True)
class Personal:
    """Where personal data stands."""

    start: int
    end: int
    kind: str
    """One of `KINDS`."""
    text: str


def personal(text: str, kinds: Iterable[str] = KINDS) -> list[Personal]:
    """All of it in order, none overlapping: where two meet, the kind that is first in `KINDS` holds.

    Raises:
        ConfigError: presidio is not installed.
    """
    taken: list[Personal] = []
    wanted = set(kinds)
    for kind in KINDS:
        if kind not in wanted:
            continue
        for start, end in _spans(text, kind):
            if all(end <= other.start or start >= other.end for other in taken):
                taken.append(Personal(start, end, kind, text[start:end]))
    return sorted(taken)


def _spans(text: str, kind: str) -> Iterator[tuple[int, int]]:
    if kind in PRESIDIO:
        yield from _presidio(text, kind)
        return
    pattern, holds = OWN[kind]
    for found in pattern.finditer(text):
        if holds(found[0]):
            yield found.span()


def is_id_card(number: str) -> bool:
    """Whether province, day of birth and check digit are right (GB 11643)."""
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    check = "10X98765432"[sum(int(digit) * pow(2, 17 - at, 11) for at, digit in enumerate(number[:17])) % 11]
    return number[:2] in PROVINCES and born.year >= 1900 and number[17].upper() == check


def _plain(number: str) -> str:
    return number.replace(" ", "").replace("-", "")


def _is_card(number: str) -> bool:
    plain = _plain(number)
    return 15 <= len(plain) <= 19 and len(set(plain)) > 3 and luhn.is_valid(plain)


OWN: dict[str, tuple[re.Pattern[str], Any]] = {
    "id_card": (ID_CARD, is_id_card),
    "credit_code": (CREDIT_CODE, lambda code: code[2:4] in PROVINCES and uscc.is_valid(code)),
    "email": (EMAIL, lambda address: not RESERVED.search(address)),
    "card": (BANK_CARD, _is_card),
    "mobile": (MOBILE, lambda number: len(set(_plain(number)[-8:])) > 1),
    "plate": (PLATE, lambda plate: sum(map(str.isdigit, plate)) >= 2),
}
PRESIDIO = {
    "iban": ("IbanRecognizer", re.compile(r"[A-Z]{2}\d{2}")),
    "coin": ("CryptoRecognizer", re.compile(r"\b(?:bc1|[13])[A-Za-z0-9]{25,}")),
    "ssn": ("UsSsnRecognizer", re.compile(r"\d{3}[- .]\d{2}[- .]\d{4}")),
    "ip": ("IpRecognizer", re.compile(r"\d\.\d{1,3}\.\d|[0-9a-fA-F]:[0-9a-fA-F]{0,4}:")),
    "telephone": ("PhoneRecognizer", TELEPHONE),
}
"""Kind → recogniser, and what a text must have for it to be worth asking."""


def _presidio(text: str, kind: str) -> Iterator[tuple[int, int]]:
    name, sign = PRESIDIO[kind]
    for start, end in _worth(text, sign, kind):
        recogniser = _recogniser(name)
        for found in recogniser.analyze(WIDE.sub(" ", text[start:end]), recogniser.supported_entities, None):
            span = start + found.start, start + found.end
            if kind == "ip" and (EXAMPLE_IP.match(address := text[slice(*span)]) or 0 < address.count(":") < 4):
                continue
            if kind == "ip" and VERSION.search(text[max(0, span[0] - 12) : span[0]]):
                continue
            if kind == "ssn" and found.score < 0.5:
                continue
            yield span


def _worth(text: str, sign: re.Pattern[str], kind: str) -> Sequence[tuple[int, int]]:
    """Parts of the text that a recogniser is asked about: its lines with the sign, for telephones the numbers alone."""
    if kind == "telephone":
        found = ((at.start(), at.end()) for at in sign.finditer(text))
        return [span for span in found if CALL.search(text[max(0, span[0] - NEAR) : span[0] + 6])]
    spans: dict[tuple[int, int], None] = {}
    for at in sign.finditer(text):
        start, end = text.rfind("\n", 0, at.start()) + 1, text.find("\n", at.end())
        spans[max(start, at.start() - 500), min(len(text) if end < 0 else end, at.end() + 500)] = None
    return list(spans)


@cache
def _recogniser(name: str) -> Any:
    try:
        from presidio_analyzer import predefined_recognizers
    except ImportError:
        raise ConfigError(
            "personal data needs presidio, which is not installed", "pip install 'hanlin[data]'"
        ) from None
    return getattr(predefined_recognizers, name)()
