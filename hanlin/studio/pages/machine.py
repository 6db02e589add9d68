"""Machine: its load, what the server did, what the doctor says, and the keys."""

import asyncio
from typing import Any

from nicegui import ui

from hanlin.studio.machine.keys import KeyList
from hanlin.studio.machine.load import Load
from hanlin.studio.models.anatomy import facts_list
from hanlin.studio.models.dialogs import table
from hanlin.studio.parts import action, box, busy, heading, words
from hanlin.studio.units import size
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import machine

PATH, TITLE, ICON, ORDER = "/machine", machine.TITLE, "memory", 5


async def show(visitor: Visitor) -> None:
    """The page."""
    say = visitor.say
    with box("page").props('tabindex="0"'), box("inner"):
        heading(say(machine.TITLE), say(machine.LINE))
        Load(visitor)
        with box("card", "section"):
            with box("line-up"):
                words("h2", say(machine.DOCTOR), "grow")
                measure = action(say(machine.MEASURE), picture="speed")
            found = box("flow")
        KeyList(visitor)

    async def examine(measures: bool) -> None:
        async with busy(visitor, measure):
            facts = await asyncio.to_thread(visitor.tools.doctor, measures)
            found.clear()
            with found:
                _draw(visitor, facts)

    measure.on_click(lambda: examine(True))
    with found:
        words("p", f"{say(machine.LOOKING)}…", "status")
    ui.timer(0.1, lambda: examine(False), once=True)


def _draw(visitor: Visitor, facts: dict[str, Any]) -> None:
    say = visitor.say
    processor, memory, kernels = facts["processor"], facts["memory"], facts["kernels"]
    told = {
        "processor": processor["name"],
        "cores": f"{processor['cores']['count']} ({processor['cores']['reason']})",
        "instructions": ", ".join(processor["instruction_sets"]) or "–",
        "memory": f"{size(memory['available_bytes'])} / {size(memory['total_bytes'])}",
        "disk": size(facts["cache"].get("free_bytes") or 0),
        "kernels": kernels["path"] or kernels["missing"] or "–",
        "gpu": ", ".join(str(one.get("name", one)) for one in facts["gpu"]) or "–",
        "python": facts["python"]["version"],
        "torch": str(facts["torch"].get("version", "–")),
    }
    if "speed" in facts:
        told["read"] = f"{size(facts['speed']['read_bytes_per_second'])}/s"
    facts_list({say(machine.FACTS[name]): str(value) for name, value in told.items()})
    words("h3", say(machine.PROBLEMS))
    for problem in facts["problems"]:
        with box("problem"):
            words("b", problem["what"])
            words("span", problem["fix"])
    if not facts["problems"]:
        words("p", say(machine.NO_PROBLEMS), "valid")
    for note in facts["notes"]:
        words("p", note, "help")
    words("h3", say(machine.FITS))
    with box("wide"):
        table(*_fits(facts["fits"]), slice(1, None))


def _fits(rows: list[dict[str, Any]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Models down, kinds of weight across."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    cells: dict[str, list[str]] = {}
    for row in rows:
        speed = row["most_tokens_per_second"]
        more = f" · ≤ {speed:,.0f}/s" if speed else ""
        cells.setdefault(row["model"], []).append(f"{'✓' if row['fits'] else '✗'} {size(row['needed_bytes'])}{more}")
    return ["", *kinds], [(model, *found) for model, found in cells.items()]
