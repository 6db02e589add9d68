"""What a template may do with values, and what each thing costs: filters, methods, operators.

Each is paid before it runs, by the most it can make; what it made beyond that is paid when it is done. Filters and
methods that published chat templates have no use for are not here, and so cannot be called.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2.runtime import LoopContext, Macro

from hanlin.core.errors import RefusedError, shown
from hanlin.text.meter import FIX, ITEM, Meter, size

CALL = 120
"""What a call or a filter costs beside what it works on."""
WIDEST = 1_000
"""Columns, decimals and powers a template may ask for."""
BITS = 10_000
"""The largest whole number, in bits."""

LAZY = frozenset("attr batch count d default first items last length list map random reject rejectattr reverse".split())
LAZY |= {"select", "selectattr", "slice"}
"""Filters that do not look into the items of what they are given."""
FILTERS = LAZY | frozenset(
    "abs capitalize center dictsort e escape float forceescape format groupby indent int join lower max min replace "
    "round safe sort string sum title tojson trim truncate unique upper urlencode wordcount".split()
)
PER_ITEM = LAZY - {"attr", "count", "d", "default", "first", "last", "length"}
PER_ITEM |= frozenset("dictsort groupby join max min sort sum unique".split())
"""Filters that do something with their arguments for each item."""
ESCAPING = frozenset("e escape forceescape tojson urlencode".split())
"""Filters that may write several characters for one."""
WIDE = frozenset(["batch", "center", "indent", "round", "slice", "ljust", "rjust", "zfill", "tojson"])
"""Filters and methods whose numbers are widths."""
METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        "capitalize casefold center count endswith find format index isalnum isalpha isascii isdecimal isdigit islower "
        "isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind "
        "rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill".split()
    ),
    list: frozenset(["copy", "count", "index"]),
    tuple: frozenset(["count", "index"]),
    dict: frozenset(["copy", "get", "items", "keys", "values"]),
}
Settle = Callable[[Any], Any]


def pay_filter(meter: Meter, name: str, value: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Settle:
    """Pay for a filter; what comes back takes its result, pays for what is new in it, and hands it on."""
    given = [*args, *kwargs.values()]
    meter.spend(CALL)
    if name == "replace":
        _pay_replace(meter, value, given)
    elif name == "format":
        _pay_format(meter, value, given)
    else:
        each = 1 + meter.weight(*given)
        meter.spend(size(value) * each if name in PER_ITEM else 0)
        if name not in LAZY:
            meter.spend((7 if name in ESCAPING else 0) * meter.weight(value))
        if name == "list":
            meter.spend(ITEM * size(value))
    if name in WIDE:
        _pay_width(meter, size(value), given)
    if name == "sum" and not isinstance(kwargs.get("start", [*args, 0, 0][1]), (int, float)):
        raise RefusedError("the chat template sums what are no numbers", FIX)
    return lambda made: _settled(meter, made)


def pay_call(meter: Meter, called: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Settle:
    """Pay for a call; methods of text, lists and mappings only if they are among `METHODS`."""
    given = [*args, *kwargs.values()]
    meter.spend(CALL + sum(map(size, given)))
    method = getattr(called, "__wrapped__", called)  # Jinja wraps str.format
    owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
    if owner is None or isinstance(called, (LoopContext, Macro)):
        return lambda made: made
    if isinstance(owner, type):
        return lambda made: _settled(meter, made)
    kind = next((kind for kind in METHODS if isinstance(owner, kind)), None)
    if kind is None and not isinstance(owner, (int, float, bytes)):
        meter.weight(*given)
        return lambda made: made
    if kind is None or name not in METHODS[kind]:
        raise RefusedError(f"the chat template calls .{name}(), which no conversation needs", FIX)
    if name in ("count", "index") and kind is not str:
        meter.weight(owner, *given)
    if isinstance(owner, str):
        _pay_text(meter, owner, name, given)
    return (lambda made: made) if kind is dict and name != "copy" else (lambda made: _settled(meter, made))


def _pay_text(meter: Meter, owner: str, name: str, given: Sequence[Any]) -> None:
    meter.spend(len(owner) // 8)
    if name == "replace":
        _pay_replace(meter, owner, given)
    elif name == "format":
        _pay_format(meter, owner, given)
    elif name == "join":
        meter.weight(*given)
        meter.spend(len(owner) * sum(map(size, given)))
    elif name in ("split", "rsplit", "splitlines"):
        cuts = owner.count(given[0]) if given and isinstance(given[0], str) and given[0] else len(owner) // 2
        meter.spend(2 * ITEM * cuts)
    elif name in WIDE:
        _pay_width(meter, 1, given)


def _pay_replace(meter: Meter, value: Any, given: Sequence[Any]) -> None:
    meter.weigh(value)
    text, old, new = [str(part) for part in (value, *given[:2], "", "")][:3]
    meter.spend(2 * text.count(old) * len(new) if len(new) > len(old) else 0)


def _pay_format(meter: Meter, form: Any, given: Sequence[Any]) -> None:
    """`%` and `{}` formats: no width of five digits, none taken from an argument, and every argument at each place."""
    text = str(form)
    if re.search(r"\d{5}|%[^a-zA-Z%]*\*|\{[^{}]*:[^{}]*\{", text):
        raise RefusedError(f"the chat template formats with too wide a field: {shown(text)}", FIX)
    places = text.count("%") + text.count("{")
    meter.spend(len(text) + places * (9_999 if re.search(r"\d{4}", text) else 999 if re.search(r"\d{3}", text) else 99))
    meter.spend(places * meter.weight(*given))


def _pay_width(meter: Meter, lines: int, given: Sequence[Any]) -> None:
    widths = [abs(number) for number in given if isinstance(number, (int, float))]
    texts = [len(text) for text in given if isinstance(text, str)]
    if max(widths + texts, default=0) > WIDEST:
        raise RefusedError(f"the chat template asks for a width of {max(widths + texts):,}", FIX)
    meter.spend(lines * (int(sum(widths)) + sum(texts)))


def operate(meter: Meter, operator: str, left: Any, right: Any, run: Callable[[str, Any, Any], Any]) -> Any:
    """An operator, paid by what it makes."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > BITS:
            raise RefusedError("the chat template works with numbers beyond all measure", FIX)
    elif operator == "%" and isinstance(left, str):
        _pay_format(meter, left, [right])
    elif operator == "*":
        for value, times in ((left, right), (right, left)):
            if isinstance(times, int):
                meter.spend(max(0, times - 1) * meter.weight(value))
    elif operator == "+":
        for value in (left, right):
            if isinstance(value, str):
                meter.spend(len(value))
            else:
                meter.weigh(value)
    meter.spend(CALL // 5)
    return run(operator, left, right)


def _settled(meter: Meter, made: Any) -> Any:
    if isinstance(made, str):
        meter.spend(len(made))
    elif isinstance(made, (list, tuple, dict)):
        meter.weigh(made)
    return made


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is, without Jinja's escapes for HTML; the arguments are `json.dumps`'s."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
