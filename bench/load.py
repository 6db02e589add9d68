"""How long from starting a process to the first token of an answer, and how much memory it takes at most?

    python bench/load.py [FILE.gguf] [--repeats 5] [--peers transformers,llama.cpp] [--patience 10]

The default model's GGUF file (98 MB of Q4_1), opened by us in float32, in the whole numbers it has and in eight bits,
by Transformers (the same file, which it turns to float32 too) and by llama.cpp (which computes with the blocks
themselves). Each run is a fresh process; imports count. Ready means: a prompt of eight tokens was read and the first
token of the answer chosen.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import record, settle

from hanlin.model.store import DEFAULT, resolve

HIGH_WATER = """
import time
ready = time.monotonic()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
import json
print(json.dumps([ready, int(status["VmHWM"].split()[0]) << 10]))
"""
SCRIPTS = {
    **{
        name: f"""
import sys, hanlin
next(hanlin.load(sys.argv[1], "{dtype}").generate(list(range(1, 9)), max_tokens=2))
"""
        for name, dtype in (("hanlin", "float32"), ("stored", "stored"), ("int8", "int8"))
    },
    "transformers": """
import sys, torch
from pathlib import Path
from transformers import AutoModelForCausalLM, AutoTokenizer
path = Path(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
with torch.no_grad():
    model.generate(torch.arange(1, 9)[None], max_new_tokens=1)
""",
    "llama.cpp": """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.verbosity, params.warmup = sys.argv[1], 512, -1, False
xllamacpp.Server(params).handle_completions({"prompt": list(range(1, 9)), "n_predict": 1})
""",
}
ONCE = ("transformers",)
"""Peers too slow to run more than once."""


def measure(name: str, path: Path) -> tuple[float, int]:
    """Seconds from starting the process to ready, and the most bytes it ever held."""
    begin = time.monotonic()
    run = [sys.executable, "-c", SCRIPTS[name] + HIGH_WATER, str(path)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    ready, peak = json.loads(done.stdout.splitlines()[-1])
    return ready - begin, peak


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("file", nargs="?", type=Path, help="a .gguf file; the default model's when not given")
    asked.add_argument("--repeats", type=int, default=5, help="runs of each that is fast enough; the median counts")
    asked.add_argument("--peers", default="transformers,llama.cpp", help="whom to measure against, or nobody")
    asked.add_argument("--patience", type=float, default=10, help="seconds to wait before each run for a quiet machine")
    given = asked.parse_args()
    path = given.file or resolve(DEFAULT)
    names = ["hanlin", "stored", "int8", *filter(None, given.peers.split(","))]
    runs: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
    for number in range(given.repeats):
        for name in names:
            if number == 0 or name not in ONCE:
                settle(given.patience)
                runs[name].append(measure(name, path))
    figures = {
        name: {
            "seconds_to_ready": round(statistics.median(seconds for seconds, _ in done), 2),
            "seconds_at_best": round(min(seconds for seconds, _ in done), 2),
            "seconds_of_each_run": [round(seconds, 2) for seconds, _ in done],
            "peak_bytes": max(peak for _, peak in done),
        }
        for name, done in runs.items()
    }
    record("load", {"file": path.name, "file_bytes": path.stat().st_size, **figures})


if __name__ == "__main__":
    main()
