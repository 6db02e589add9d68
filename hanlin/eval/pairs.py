"""Our own minimal pairs: templates in, rows of sentences out that differ in nothing but whom they are about.

Run as a script it writes `texts/minimal_pairs.jsonl` anew from `texts/minimal_pairs.toml`.
"""

import json
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

HERE = "hanlin.eval"


def made() -> Iterator[dict[str, Any]]:
    """A row for each template, pair of groups and trait; `stereotype` is the sentence as it is told."""
    plan = tomllib.loads((files(HERE) / "texts" / "minimal_pairs.toml").read_text("utf-8"))
    for one in plan["set"]:
        for number, template in enumerate(one["templates"]):
            for groups in one["groups"]:
                for side, traits in enumerate((one["first"], one["second"])):
                    for trait in traits:
                        mine, other = groups[side], groups[1 - side]
                        both = (filled(template, who, trait) for who in (mine, other))
                        yield {
                            "axis": one["axis"],
                            "lang": one["lang"],
                            "stereotype": next(both),
                            "other": next(both),
                            "template": f"{one['axis']} {one['lang']} {number} {'/'.join(groups)}",
                        }


def filled(template: str, group: str, trait: str) -> str:
    """A sentence, with an English article that fits."""
    text = template.replace("{group}", group).replace("{trait}", trait)
    for vowel in "aeiouAEIOU":
        text = text.replace(f" a {vowel}", f" an {vowel}")
    return text


if __name__ == "__main__":
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made())
    Path(str(files(HERE) / "texts" / "minimal_pairs.jsonl")).write_text(lines, "utf-8")
