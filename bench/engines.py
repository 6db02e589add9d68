"""How fast do engines read prompts and write answers on this machine, beside one another?

    python bench/engines.py NAME=ENGINE:MODEL[@PYTHON]… [--depths 16,1000,4000] [--prompts 512] [--streams 4,16]
        [--tokens 32] [--rounds 5]

    python bench/engines.py int8=hanlin:smollm2-135m-instruct:int8 q8=llama.cpp:/tmp/smollm2-q8_0.gguf \
        ov8=openvino:/tmp/smollm2-ov8@/tmp/openvino/bin/python float=transformers:/tmp/smollm2:float32

ENGINE is hanlin, llama.cpp, openvino or transformers (bench/contenders.py says what each takes for MODEL), PYTHON the
interpreter that has it, if that is another. Each lives in a process of its own and rests while others are asked; they
take turns question by question and round by round. Figures are medians with the middle half. Load: seconds from the
start of the process until two tokens have been written. First cold and warm: seconds until the first token of a prompt
that is new, and of the same one again. Roofline: the share of the speed at which weights can be read that writing one
answer reaches. The first NAME is compared with the rest.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import record, settle

from hanlin.core.measure import read_speed

PATIENCE_SECONDS = 10.0


def bare(told: str) -> str:
    """Without the folders, which are this machine's."""
    return re.sub(r"/(?:[^\s:@=/]+/)+", "", told)


class Contender:
    """A process that answers."""

    def __init__(self, told: str) -> None:
        self.told = bare(told)
        self.name, _, rest = told.partition("=")
        rest, _, python = rest.partition("@")
        engine, _, model = rest.partition(":")
        command = [python or sys.executable, str(Path(__file__).with_name("contenders.py")), engine, model]
        began = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.bytes = self.said()["bytes"]
        self.load_seconds = time.perf_counter() - began
        self.peak_bytes = 0

    def said(self) -> dict[str, Any]:
        """Its next line.

        Raises:
            SystemExit: it has ended.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended; run it by hand: {' '.join(map(str, self.process.args))}")  # pyright: ignore
        return json.loads(line)

    def ask(self, **question: int) -> dict[str, Any]:
        """One measurement."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        found = self.said()
        self.peak_bytes = max(self.peak_bytes, found["peak_bytes"])
        return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("contenders", nargs="+", metavar="NAME=ENGINE:MODEL[@PYTHON]")
    asked.add_argument("--depths", default="16,1000,4000", help="tokens read before an answer")
    asked.add_argument("--prompts", default="512", help="tokens of prompts")
    asked.add_argument("--streams", default="4,16", help="answers at once")
    asked.add_argument("--tokens", type=int, default=32, help="of an answer")
    asked.add_argument("--rounds", type=int, default=5)
    given = asked.parse_args()
    depths, prompts, streams = (
        [int(part) for part in text.split(",") if part] for text in (given.depths, given.prompts, given.streams)
    )
    settle(PATIENCE_SECONDS)
    read = read_speed(512 << 20)
    them = [Contender(told) for told in given.contenders]
    questions: dict[str, dict[str, int]] = {
        **{f"prefill_{count}": {"depth": count, "tokens": 1, "streams": 1} for count in prompts},
        **{f"first_warm_{count}": {"depth": count, "tokens": 1, "streams": 1, "again": 1} for count in prompts},
        **{f"decode_at_{depth}": {"depth": depth, "tokens": given.tokens, "streams": 1} for depth in depths},
        **{f"streams_{count}": {"depth": 16, "tokens": given.tokens, "streams": count} for count in streams},
    }
    found: dict[str, dict[str, list[float]]] = {what: {one.name: [] for one in them} for what in questions}
    for number in range(given.rounds + 1):
        for what, question in questions.items():
            settle(PATIENCE_SECONDS)
            for one in them:
                said = one.ask(**question)
                if number:  # the first time pays for memory and caches
                    found[what][one.name].append(figure(what, question, said))
            lasts = {name: round(some[-1], 3) for name, some in found[what].items() if some}
            print(number, what, lasts, file=sys.stderr, flush=True)
    told = figures(them, found)
    told["read_bytes_per_second"] = round(read)
    for count in prompts:
        told[f"first_cold_{count}"] = {
            name: round(count / statistics.median(some), 4) for name, some in found[f"prefill_{count}"].items()
        }
    if depths:
        told |= depth_figures(them, found, sorted(depths), read)
    sys.argv[1:] = map(bare, sys.argv[1:])
    record("engines", told)


def depth_figures(
    them: list[Contender], found: dict[str, dict[str, list[float]]], depths: list[int], read: float
) -> dict[str, Any]:
    """The roofline of one answer, and how much of its speed is left behind longer prompts."""
    at = {
        depth: {name: statistics.median(some) for name, some in found[f"decode_at_{depth}"].items()} for depth in depths
    }
    least = at[depths[0]]
    told = {"roofline": {one.name: round(least[one.name] * one.bytes / read, 3) for one in them}}
    for depth in depths[1:]:
        told[f"kept_at_{depth}"] = {name: round(value / least[name], 3) for name, value in at[depth].items()}
    return told


def figure(what: str, question: dict[str, int], said: dict[str, float]) -> float:
    """Tokens per second; of a first token its seconds."""
    if what.startswith("first"):
        return said["first"]
    return question["depth"] / said["first"] if what.startswith("prefill") else said["speed"]


def figures(them: list[Contender], found: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Medians with their quarters, and the first contender's ratio to each other; above 1 it is the better one."""
    told: dict[str, Any] = {"contenders": [one.told for one in them]}
    told["load_seconds"] = {one.name: round(one.load_seconds, 2) for one in them}
    told["peak_bytes"] = {one.name: one.peak_bytes for one in them}
    first = them[0].name
    for what, by_name in found.items():
        middle = {name: statistics.median(some) for name, some in by_name.items()}
        told[what] = {
            name: [
                round(it, 4 if what.startswith("first") else 1)
                for it in (statistics.quantiles(some, n=4) if len(some) > 1 else some * 3)
            ]
            for name, some in by_name.items()
        }
        told[f"{what}_times"] = {
            name: round(value / middle[first] if what.startswith("first") else middle[first] / value, 2)
            for name, value in middle.items()
            if name != first and value
        }
    return told


if __name__ == "__main__":
    main()
