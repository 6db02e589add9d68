"""How many tokens per second does a model learn from, and in how much memory, against Transformers and PEFT?

    python bench/train.py [--rows 4] [--length 512] [--steps 2] [--rounds 2] [--only hanlin,transformers]

One step: gradients of all positions' next-token loss, and AdamW (torch's fused one for all). Every contender has a
process of its own, for its peak of resident memory counted from its first step on; they take turns, and each one's best
step counts. The operations of a step are those of the formula in `hanlin/train/cost.py`, the same for all who learn the
same weights; the peak is that of float32 products on this machine, measured before each turn.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from common import record, settle
from peers import PATIENCE_SECONDS

from hanlin import kernels
from hanlin.core.machine import allowed_cores
from hanlin.core.measure import product_speed
from hanlin.core.plugins import find
from hanlin.core.settings import parse
from hanlin.data.batch import Batch
from hanlin.model.load import load
from hanlin.model.products import multiply_bytes
from hanlin.model.save import save_folder
from hanlin.model.store import DEFAULT, resolve
from hanlin.train import cost
from hanlin.train.cross_entropy import summed
from hanlin.train.heap import keep_freed

RATE = 1e-5


def hanlin(
    folder: Path, batch: Batch, *, is_lora: bool = False, is_int8: bool = False
) -> tuple[Callable[[], object], float]:
    """A step of ours, and its operations."""
    keep_freed()
    network = load(folder).network.train()
    if is_lora:
        from hanlin.model.adapters.lora import add
        from hanlin.model.adapters.settings import AdapterSettings

        add(network, AdapterSettings(), torch.Generator().manual_seed(0))
    else:
        network.requires_grad_(True)
    if is_int8:
        kernels.share_threads()
        multiply_bytes(network)
    optimiser = parse(find("hanlin.train.optimisers", "adamw").Optimiser, {}).build(network, RATE)
    optimiser.begin()

    def step() -> None:
        loss = summed(network, network.trunk(batch.tokens), batch.targets, batch.weights) / batch.tokens.numel()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step, cost.of_batch(network, batch)


def transformers(folder: Path, batch: Batch, how: str = "float32") -> tuple[Callable[[], object], float]:
    """A step of Transformers', "compiled", under "autocast" to bfloat16, both, or of PEFT's LoRA on top ("peft")."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
    if how == "peft":
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(
            model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        )
    learning = [it for it in model.parameters() if it.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=RATE, fused=True)
    called = torch.compile(model) if "compiled" in how else model
    labels = torch.cat((batch.tokens[:, :1], batch.targets[:, :-1]), 1)  # theirs are shifted inside

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled="autocast" in how):
            loss = called(input_ids=batch.tokens, labels=labels, use_cache=False).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step, 0.0


CONTENDERS: dict[str, Callable[[Path, Batch], tuple[Callable[[], object], float]]] = {
    "hanlin": hanlin,
    "hanlin_int8": lambda folder, batch: hanlin(folder, batch, is_int8=True),
    "transformers": transformers,
    "transformers_compiled": lambda folder, batch: transformers(folder, batch, "compiled"),
    "transformers_autocast": lambda folder, batch: transformers(folder, batch, "autocast"),
    "transformers_autocast_compiled": lambda folder, batch: transformers(folder, batch, "autocast compiled"),
    "hanlin_lora": lambda folder, batch: hanlin(folder, batch, is_lora=True),
    "hanlin_lora_int8": lambda folder, batch: hanlin(folder, batch, is_lora=True, is_int8=True),
    "peft_lora": lambda folder, batch: transformers(folder, batch, "peft"),
}


def work(who: str, folder: Path, rows: int, length: int, steps: int) -> None:
    """In a process of its own: print the seconds of each step after the first, peak memory and operations."""
    torch.set_num_threads(allowed_cores().count)
    text = torch.randint(0, 1000, (rows, length + 1), generator=torch.Generator().manual_seed(0))
    batch = Batch(text[:, :-1].contiguous(), text[:, 1:].contiguous(), torch.ones(rows, length))
    step, operations = CONTENDERS[who](folder, batch)
    Path("/proc/self/clear_refs").write_text("5")  # what loading took is not what training takes
    step()
    seconds = []
    for _ in range(steps):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "bytes": int(peak.split()[1]) << 10, "operations": operations}))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=4)
    asked.add_argument("--length", type=int, default=512, help="tokens per row")
    asked.add_argument("--steps", type=int, default=2, help="timed steps of each process")
    asked.add_argument("--rounds", type=int, default=2, help="processes of each contender")
    asked.add_argument("--only", default=",".join(CONTENDERS), help="who takes part")
    asked.add_argument("--work", default="", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.work:
        who, folder = given.work.split(":", 1)
        work(who, Path(folder), given.rows, given.length, given.steps)
        return
    names = given.only.split(",")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory: dict[str, int] = {}
    operations: dict[str, float] = {}
    peak = 0.0
    torch.set_num_threads(allowed_cores().count)
    with tempfile.TemporaryDirectory() as folder:
        save_folder(load(resolve(DEFAULT)), Path(folder))
        for _ in range(given.rounds):
            for name in names:
                settle(PATIENCE_SECONDS)
                peak = max(peak, product_speed("float32"))
                command = [sys.executable, __file__, f"--work={name}:{folder}"]
                command += [f"--{key}={getattr(given, key)}" for key in ("rows", "length", "steps")]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found = json.loads(done.stdout.splitlines()[-1])
                print(name, found, file=sys.stderr, flush=True)
                seconds[name] += found["seconds"]
                memory[name] = max(memory.get(name, 0), found["bytes"])
                operations[name] = found["operations"]
    record("train", figures(given.rows * given.length, seconds, memory, operations, peak))


def figures(
    tokens: int, seconds: dict[str, list[float]], memory: dict[str, int], operations: dict[str, float], peak: float
) -> dict[str, Any]:
    """What is recorded: each contender's best, and ours against the best of theirs."""
    found: dict[str, Any] = {"peak_float32_operations_per_second": round(peak), "tokens_per_step": tokens}
    speed = {name: tokens / min(times) for name, times in seconds.items()}
    for name in seconds:
        alike = [count for other, count in operations.items() if count and ("lora" in other) == ("lora" in name)]
        work_of = alike[0] if alike else 0.0
        found[name] = {
            "tokens_per_second": round(speed[name], 1),
            "share_of_peak": round(work_of / min(seconds[name]) / peak, 3),
            "peak_bytes": memory[name],
        }
    pairs = (("hanlin", "transformers"), ("hanlin_int8", "transformers"))
    for ours, theirs in (*pairs, ("hanlin_lora", "peft"), ("hanlin_lora_int8", "peft")):
        peers = [name for name in speed if name.startswith(theirs)]
        if ours in speed and peers:
            best = max(peers, key=lambda name: speed[name])
            found[f"{ours}_times_best_peer"] = round(speed[ours] / speed[best], 3)
            found[f"{ours}_share_of_its_memory"] = round(memory[ours] / memory[best], 3)
    return found


if __name__ == "__main__":
    main()
