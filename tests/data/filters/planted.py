"""Personal data and secrets that belong to nobody, made by their own rules, to be planted in texts and found again."""

import random
import string
from collections.abc import Callable

REGIONS = ("110105", "310104", "440306", "510107", "330106")
UPPER = string.ascii_uppercase + string.digits
MIXED = string.ascii_letters + string.digits


def id_card(draw: random.Random) -> str:
    """GB 11643: weights 2^(17-i) mod 11, the check character from 1 0 X 9 8 7 6 5 4 3 2."""
    body = f"{draw.choice(REGIONS)}{draw.randint(1950, 2005)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
    body += f"{draw.randint(0, 999):03}"
    return body + "10X98765432"[sum(int(c) * 2 ** (17 - at) for at, c in enumerate(body)) % 11]


def credit_code(draw: random.Random) -> str:
    """GB 32100: weights 3^i mod 31."""
    known = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    body = "91" + draw.choice(REGIONS) + "".join(draw.choice(known) for _ in range(9))
    return body + known[-sum(known.index(c) * 3**at for at, c in enumerate(body)) % 31]


def card(draw: random.Random) -> str:
    """Luhn: every second figure from the right is doubled."""
    body = draw.choice(("622202", "621661", "4", "52")) + "".join(draw.choice(string.digits) for _ in range(20))
    body = body[: 18 if body.startswith("62") else 15]
    total = sum(sum(divmod(int(c) * (2 if at % 2 == 0 else 1), 10)) for at, c in enumerate(reversed(body)))
    whole = body + str(-total % 10)
    return draw.choice((whole, " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))))


def mobile(draw: random.Random) -> str:
    number = f"1{draw.choice('3456789')}{draw.randint(0, 10**9 - 1):09}"
    return draw.choice((number, f"+86 {number}", f"{number[:3]} {number[3:7]} {number[7:]}"))


def plate(draw: random.Random) -> str:
    known = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    tail = f"{draw.randint(10, 99)}{draw.choice(known)}{draw.randint(10, 99)}"
    return draw.choice("京沪粤川浙") + draw.choice(known) + draw.choice(("", "·")) + tail


def email(draw: random.Random) -> str:
    name = "".join(draw.choice(string.ascii_lowercase) for _ in range(7))
    return (
        f"{name}.{draw.randint(1, 99)}@{draw.choice(('mail', 'post', 'firm-23'))}.{draw.choice(('cn', 'org', 'co.uk'))}"
    )


def telephone(draw: random.Random) -> str:
    return f"+1 212-{draw.randint(200, 999)}-{draw.randint(1000, 9999)}"


def ip(draw: random.Random) -> str:
    return f"{draw.choice((8, 45, 91, 114))}.{draw.randint(1, 254)}.{draw.randint(1, 254)}.{draw.randint(1, 254)}"


def iban(draw: random.Random) -> str:
    """ISO 13616: the number, with DE00 behind it as figures, leaves 98 minus the check figures by 97."""
    body = "".join(draw.choice(string.digits) for _ in range(18))
    return f"DE{98 - int(body + '131400') % 97:02}{body}"


PERSONAL: dict[str, Callable[[random.Random], str]] = {
    kind.__name__: kind for kind in (id_card, credit_code, card, mobile, plate, email, telephone, ip, iban)
}


def _some(draw: random.Random, known: str, count: int) -> str:
    return "".join(draw.choice(known) for _ in range(count))


BEGIN, END = (f"-----{word} RSA PRIVATE KEY-----" for word in ("BEGIN", "END"))
SECRETS: dict[str, Callable[[random.Random], str]] = {
    "aws": lambda draw: "AKIA" + _some(draw, UPPER, 16),
    "github": lambda draw: "ghp_" + _some(draw, MIXED, 36),
    "gitlab": lambda draw: "glpat-" + _some(draw, MIXED, 20),
    "slack": lambda draw: f"xoxb-{draw.randint(10**11, 10**12 - 1)}-{_some(draw, MIXED, 24)}",
    "stripe": lambda draw: "sk_live_" + _some(draw, MIXED, 24),
    "address": lambda draw: f"postgres://admin:{_some(draw, MIXED, 12)}@db.firm.cn/main",
    "telegram": lambda draw: f"{draw.randint(10**8, 10**9)}:AA{_some(draw, MIXED, 33)}",
    "jwt": lambda draw: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + _some(draw, MIXED, 43),
    "private key": lambda draw: f"{BEGIN}\n{_some(draw, MIXED, 64)}\n{_some(draw, MIXED, 30)}==\n{END}",
}
FRAMES = (
    "Please write to {} before the end of the week, or ask the man at the desk.",
    "The form says {}, which I copied by hand.",
    "请在周五以前联系{}，或者问一下前台的同事。",
    "他填的是：{}。后来又改了一次。",
    "({})",
)
CALLS = ("Call {} in the evening.", "电话：{}，晚上打来。")
"""For what is found only where it is called by its name."""


def planted(kind: str, draw: random.Random) -> tuple[str, str]:
    """A sentence, and what was planted in it."""
    value = {**PERSONAL, **SECRETS}[kind](draw)
    return draw.choice(CALLS if kind == "telephone" else FRAMES).format(value), value
