"""What `hanlin show` says of a model, drawn."""

from typing import Any

from nicegui import ui

from hanlin.studio.parts import box, words
from hanlin.studio.units import amount, size
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import models

COLOURS = ("#a63a2b", "#3b6ea5", "#4f8a4c", "#b5852b", "#7a5aa6", "#5f6b7a", "#888")


def draw(visitor: Visitor, facts: dict[str, Any]) -> None:
    """Parts, build, types, tokenizer, template."""
    say = visitor.say
    for problem in facts["problems"]:
        with box("problem"):
            words("b", problem["what"])
            words("span", problem["fix"])
    parameters = facts["parameters"]
    words("h3", say(models.WEIGHTS, count=amount(parameters["total"])))
    stacked({say(models.PARTS[part]): count for part, count in parameters["parts"].items()})
    config = facts["config"] or {}
    words("h3", say(models.CONFIG))
    names = {"layers": models.LAYERS, "width": models.WIDTH, "heads": models.HEADS, "mlp": models.PARTS["mlp"]}
    names |= {"vocabulary": models.VOCABULARY, "context": models.CONTEXT}
    rows = {say(models.FAMILY): facts["family"] or "–"}
    rows |= {say(word): f"{config[name]:,}" for name, word in names.items() if isinstance(config.get(name), int)}
    facts_list(rows)
    words("h3", say(models.TYPES))
    facts_list({one["type"]: f"{amount(one['weights'])} · {size(one['bytes'])}" for one in facts["types"]})
    tokenizer = facts["tokenizer"]
    if tokenizer:
        words("h3", say(models.TOKENIZER))
        ends = " ".join(one["text"] for one in tokenizer["eos"])
        facts_list({tokenizer["kind"]: f"{tokenizer['vocabulary']:,}", "eos": ends})
    if facts["template"]:
        words("h3", say(models.TEMPLATE))
        words("pre", facts["template"]["text"], "out")


def stacked(parts: dict[str, float]) -> None:
    """Shares of a whole, as a bar and a legend."""
    total = sum(parts.values()) or 1
    with box("stack") as bar:
        bar.props["aria-hidden"] = "true"
        for colour, count in zip(COLOURS, parts.values(), strict=False):
            box("").style(f"flex: {count / total:.5f}; background: {colour}")
    with box("legend"):
        for colour, (name, count) in zip(COLOURS, parts.items(), strict=False):
            with words("span", ""):
                ui.element("i").style(f"background: {colour}")
                words("span", f"{name} {amount(count)} · {count / total:.0%}")


def facts_list(rows: dict[str, str]) -> None:
    """Names and values."""
    with box("facts", "dl"):
        for name, value in rows.items():
            words("dt", name)
            words("dd", value)
