"""The doctor's findings on a terminal: facts in, a page of rich text out."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hanlin.cli.doctor.fits import CONTEXT, KINDS

GIB = 1 << 30


def show(console: Console, found: dict[str, Any]) -> None:
    """Facts, the table of what fits, notes, and each problem with its fix."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold cyan", no_wrap=True)
    facts.add_column()
    for name, value in _lines(found):
        facts.add_row(name, escape(value))
    console.print(facts)
    console.print()
    _fits(console, found)
    console.print()
    for note in found["notes"]:
        console.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)
    console.print()
    for problem in found["problems"]:
        console.print(f"[bold red]✗[/] {escape(problem['what'])}", soft_wrap=True)
        console.print(f"  fix: {escape(problem['fix'])}", soft_wrap=True)
    if not found["problems"]:
        console.print("[bold green]✓[/] nothing stands in the way")


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    cores, memory, cache = found["processor"]["cores"], found["memory"], found["cache"]
    sets = ", ".join(found["processor"]["instruction_sets"]) or "none that we know"
    container = f", the container's limit {_gib(memory['limit_bytes'])}" if memory["limit_bytes"] else ""
    state = "" if cache["is_there"] else ", not made yet"
    kinds = f"{cores['logical']} logical, {cores['allowed']} by affinity, {cores['physical']} physical"
    packages = " · ".join(
        f"{row['name']} {row['version'] or '—'}" for row in found["packages"] if row["name"] != "torch"
    )
    return [
        ("processor", found["processor"]["name"]),
        ("cores", f"{cores['count']}: {cores['reason']}"),
        ("", f"{kinds}, {_quota(cores)}"),
        ("instructions", sets),
        (
            "memory",
            f"{_gib(memory['available_bytes'])} of {_gib(memory['total_bytes'])} ({memory['reason']}){container}",
        ),
        ("swap", f"{_gib(memory['swap_free_bytes'])} free of {_gib(memory['swap_total_bytes'])}"),
        ("gpu", ", ".join(f"{card['name']} {_gib(card['memory_bytes'])}" for card in found["gpu"]) or "none"),
        ("torch", _torch(found["torch"])),
        ("kernels", _kernels(found["kernels"])),
        *_speed(found),
        ("cache", f"{cache['folder']}{state}: {_gib(cache['used_bytes'])} used, {_gib(cache['free_bytes'])} free"),
        *_network(found["network"]),
        ("python", f"{found['python']['version']} on {found['python']['system']}"),
        ("packages", packages),
    ]


def _quota(cores: dict[str, Any]) -> str:
    return "no quota" if cores["quota"] is None else f"a quota of {cores['quota']:g}"


def _torch(torch: dict[str, Any]) -> str:
    if "error" in torch:
        return f"does not load: {torch['error']}"
    onednn = f"oneDNN {torch['onednn']}" if torch["onednn"] else "no oneDNN"
    return (
        f"{torch['version']}, {torch['blas'] or 'no BLAS'}, {onednn}, {torch['capability']}, {torch['threads']} threads"
    )


def _kernels(kernels: dict[str, Any]) -> str:
    return "none" if kernels["missing"] else f"native, by {kernels['path']}"


def _speed(found: dict[str, Any]) -> list[tuple[str, str]]:
    speed = found.get("speed")
    if not speed:
        return [("speed", "not measured")]
    kinds = [f"{kind} {speed[f'{kind}_operations_per_second'] / 1e9:,.0f}" for kind in ("float32", "bfloat16", "int8")]
    return [
        ("products", f"{', '.join(kinds)} billion operations/s, measured on {speed['threads']} threads"),
        ("reading", f"{speed['read_bytes_per_second'] / 1e9:.1f} GB/s from memory, measured"),
    ]


def _network(network: dict[str, Any]) -> list[tuple[str, str]]:
    if "skipped" in network:
        return [("network", f"not asked: {network['skipped']}")]
    token = "there is one" if network["has_token"] else "none (only private and gated models need one)"
    return [
        ("hub", f"{_reached(network['hub'])} ({network['hub']['url']})"),
        ("index", _reached(network["index"])),
        ("hub token", token),
    ]


def _reached(place: dict[str, Any]) -> str:
    return f"{'reachable' if place['is_reachable'] else 'not reachable'}: {place['answer']}"


def _fits(console: Console, found: dict[str, Any]) -> None:
    console.print(f"[bold]What fits[/] with {CONTEXT} tokens of context: GiB needed, and tokens/s at most")
    table = Table(box=None, padding=(0, 3, 0, 0))
    table.add_column("model", style="cyan", no_wrap=True)
    for kind, _ in KINDS:
        table.add_column(kind, justify="right", no_wrap=True)
    by_model: dict[str, list[str]] = {}
    for row in found["fits"]:
        by_model.setdefault(row["model"], []).append(_cell(row))
    for model, cells in by_model.items():
        table.add_row(model, *cells)
    console.print(table)
    console.print("[dim]Estimates: reading speed ÷ bytes of weights. What fits the processor's cache can be faster.[/]")
    console.print("[dim]Today every file is computed in float32 or, if asked, in 16 bits: GGUF blocks are unpacked.[/]")


def _cell(row: dict[str, Any]) -> str:
    needed = f"{row['needed_bytes'] / GIB:.1f}"
    if not row["fits"]:
        return f"[red]{needed} ✗[/]     "
    speed = row["most_tokens_per_second"]
    if speed is None:
        return needed
    color = "green" if speed >= 5 else "yellow"
    return f"{needed} [{color}]{f'{speed:,.0f}' if speed >= 10 else f'{speed:.1f}':>4}/s[/]"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
