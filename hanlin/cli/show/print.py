"""A model's facts on a terminal: the JSON object of `facts.gather` in, a page out."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

GIB, MIB = 1 << 30, 1 << 20
MOST_SPECIAL = 24
SPECIAL = "bold black on orange3"


def show(console: Console, facts: dict[str, Any]) -> None:
    """Every part that could be told, then what could not."""
    family = facts["family"] or "a family we do not carry"
    title = f"{facts['name']}  {count(facts['parameters']['total'])} parameters, {family}"
    console.print(Text(title, style="bold"), soft_wrap=True)
    console.print(Text(facts["path"], style="dim"), soft_wrap=True)
    if facts["lineage"]:
        console.print(Text(_lineage(facts["lineage"]), style="dim"), soft_wrap=True)
    if facts["config"]:
        _section(console, "config")
        _config(console, facts["config"])
    _section(console, "parameters")
    _parameters(console, facts["parameters"])
    _section(console, "memory")
    _memory(console, facts["memory"])
    _section(console, "in the file")
    _types(console, facts["types"])
    if facts["tokenizer"]:
        _section(console, "tokenizer")
        _tokenizer(console, facts["tokenizer"])
    _section(console, "generation")
    recommended = ", ".join(f"{key} = {value}" for key, value in facts["generation"].items())
    console.print(Text(recommended or "its makers recommend no settings"))
    _section(console, "chat template")
    _template(console, facts)
    for problem in facts["problems"]:
        console.print()
        console.print(Text(problem["what"], style="red"), soft_wrap=True)
        console.print(Text(f"  fix: {problem['fix']}"), soft_wrap=True)


def count(number: int) -> str:
    """1,543,714,304 as 1.54 B."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:g}"


def size(number: int) -> str:
    """Bytes as MiB or GiB."""
    return f"{number / GIB:.2f} GiB" if number >= GIB else f"{number / MIB:.1f} MiB"


def _section(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold cyan"))


def _lineage(lineage: dict[str, Any]) -> str:
    parts = [f"from {lineage['source']}: {lineage['origin']}"]
    if lineage["revision"]:
        parts.append(f"at {lineage['revision'][:12]}")
    if lineage["licence"]:
        parts.append(f"licence {lineage['licence']}")
    return ", ".join([*parts, f"pulled {lineage['pulled_at'][:16]}"])


def _config(console: Console, config: dict[str, Any]) -> None:
    grid = Table.grid(padding=(0, 3))
    cells = [f"{name} = {_value(value)}" for name, value in config.items() if value not in (None, [], {})]
    long = [cell for cell in cells if len(cell) > 34]
    short = [cell for cell in cells if len(cell) <= 34]
    height = -(-len(short) // 2)
    for row in range(height):
        grid.add_row(*map(Text, short[row::height]))
    console.print(grid)
    for cell in long:
        console.print(Text(cell))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(inner)}" for key, inner in value.items() if inner not in (None, [], {}))
    if isinstance(value, list):
        return _runs(value)
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _runs(values: list[Any]) -> str:
    """A list with its repetitions counted: `512 x 5, None, 512 x 5, None`; the beginning of a long one."""
    runs: list[tuple[Any, int]] = []
    for value in values:
        if runs and runs[-1][0] == value:
            runs[-1] = (value, runs[-1][1] + 1)
        else:
            runs.append((value, 1))
    told = [f"{_value(value)} x {times}" if times > 1 else _value(value) for value, times in runs]
    return ", ".join(told[:16]) + (f", … ({len(values)} in all)" if len(told) > 16 else "")


def _parameters(console: Console, parameters: dict[str, Any]) -> None:
    table = Table.grid(padding=(0, 3))
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    for part, number in parameters["parts"].items():
        share = number / parameters["total"]
        table.add_row(part, f"{number:,}", f"{share:.1%}", Text("█" * max(1, round(share * 24)), style="blue"))
    if parameters["has_tied_head"]:
        table.add_row("head", "0", "", Text("tied: the embedding is the head, too", style="dim"))
    table.add_row(Text("total", style="bold"), Text(f"{parameters['total']:,}", style="bold"))
    console.print(table)


def _memory(console: Console, memory: dict[str, Any]) -> None:
    table = Table.grid(padding=(0, 3))
    for justify in ("left", "right", "right"):
        table.add_column(justify=justify)
    cache = memory.get("cache_bytes_per_1024_tokens", {})
    table.add_row("", Text("weights", style="dim"), Text("per 1,024 tokens of context" if cache else "", style="dim"))
    table.add_row("as stored", size(memory["stored_bytes"]), "")
    for kind, number in memory["weights_bytes"].items():
        table.add_row(kind, size(number), f"+ {size(cache[kind])}" if kind in cache else "")
    console.print(table)
    if full := memory.get("cache_bytes_full_float32"):
        console.print(Text(f"a full context window in float32 takes {size(full)}", style="dim"))


def _types(console: Console, types: list[dict[str, Any]]) -> None:
    table = Table.grid(padding=(0, 3))
    for justify in ("left", "right", "right", "right", "right"):
        table.add_column(justify=justify)
    table.add_row(*(Text(word, style="dim") for word in ("type", "tensors", "weights", "size", "bits per weight")))
    for row in types:
        bits = 8 * row["bytes"] / row["weights"] if row["weights"] else 0
        table.add_row(row["type"], f"{row['tensors']:,}", count(row["weights"]), size(row["bytes"]), f"{bits:.2f}")
    console.print(table)


def _tokenizer(console: Console, tokenizer: dict[str, Any]) -> None:
    console.print(Text(f"{tokenizer['kind']}, a vocabulary of {tokenizer['vocabulary']:,}"))
    for role in ("bos", "eos", "pad", "unk"):
        found = tokenizer[role]
        tokens = found if isinstance(found, list) else [found] if found else []
        console.print(_tokens(f"{role}  ", tokens))
    before, after = tokenizer["added_before"], tokenizer["added_after"]
    if before or after:
        console.print(_tokens("put before a text: ", before), _tokens("after it: ", after))
    else:
        console.print(Text("puts nothing around a text"))
    special = tokenizer["special"]
    more = f" and {len(special) - MOST_SPECIAL:,} more" if len(special) > MOST_SPECIAL else ""
    console.print(_tokens(f"{len(special):,} special: ", special[:MOST_SPECIAL]).append(more))


def _tokens(label: str, tokens: list[dict[str, Any]]) -> Text:
    text = Text(label)
    for token in tokens:
        text.append(token["text"], SPECIAL).append(f" {token['id']}  ", "dim")
    return text if tokens else text.append("none", "dim")


def _template(console: Console, facts: dict[str, Any]) -> None:
    template = facts["template"]
    if not template:
        console.print(Text("none: this model continues texts, it was not taught to talk"))
        return
    page = Text()
    for piece in template["pieces"]:
        page.append(piece["text"], SPECIAL if piece["is_special"] else "")
    console.print(page)
    system = "" if template["takes_system"] else "; it takes no system message"
    console.print(Text(f"{template['tokens']} tokens{system}", style="dim"))
