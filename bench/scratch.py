"""How long does a new model take to get as good as nanoGPT's recipe for processors makes one?

    python bench/scratch.py NANOGPT [--rounds 1]

NANOGPT is a checkout of https://github.com/karpathy/nanoGPT with data/shakespeare_char/input.txt in place. Its README's
recipe for a laptop (4 layers of width 128, 12 × 64 characters a step, 2,000 steps) is run as it stands, plain and, with
--compile, compiled; the loss it ends with on its held-out tenth is the mark. Ours, on the same tenth, the same
characters and the same machine, is timed from the start of its process until its validation loss is at the mark or
below: everything counts, imports, the tokenizer and validations too. It is judged on 480 rows of 64 characters, twice
as many as nanoGPT judges itself on. They take turns.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import record, settle
from peers import PATIENCE_SECONDS

RECIPE = (
    "--device=cpu --eval_iters=20 --log_interval=100 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4"
    " --n_embd=128 --max_iters=2000 --lr_decay_iters=2000 --dropout=0.0"
).split()
RUN = """
verb = "train"
name = "scratch"
[model]
family = "qwen3"
width = 128
layers = 4
heads = 4
[tokenizer]
kind = "characters"
vocabulary = 512
[data]
train = "{train}"
validation = "{validation}"
context = 64
packing = "wrapped"
[train]
steps = {steps}
batch = 12
lr = 0.025
optimiser = {{ use = "muon" }}
schedule = {{ use = "linear" }}
validate_every = {every}
validation_rows = 480
save_every = 1000000
sample_every = 1000000
[gate]
allow = ["overlap"]
"""


def nanogpt(folder: Path, *, is_compiled: bool) -> tuple[float, float]:
    """Seconds of its whole process, and its last validation loss."""
    (folder / "data/shakespeare_char/train.bin").unlink(missing_ok=True)
    python = sys.executable
    subprocess.run([python, "data/shakespeare_char/prepare.py"], cwd=folder, check=True, capture_output=True)
    argv = [python, "train.py", "config/train_shakespeare_char.py", *RECIPE, f"--compile={is_compiled}"]
    began = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, float(re.findall(r"val loss ([\d.]+)", done.stdout)[-1])


def hanlin(folder: Path, mark: float, steps: int, every: int) -> tuple[float, float, int]:
    """Seconds until the mark is reached, or for all steps; the loss there; the step."""
    text = (folder / "data/shakespeare_char/input.txt").read_text()
    with tempfile.TemporaryDirectory() as where:
        here = Path(where)
        border = int(0.9 * len(text))
        (here / "train.txt").write_text(text[:border])
        (here / "validation.txt").write_text(text[border:])
        filled = {"train": here / "train.txt", "validation": here / "validation.txt", "steps": steps, "every": every}
        (here / "scratch.toml").write_text(RUN.format(**filled))
        code = "from hanlin.cli.main import main; main()"
        argv = [sys.executable, "-c", code, "train", str(here / "scratch.toml"), f'out="{here}/out"']
        began = time.perf_counter()
        child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        found = (float("nan"), 0)
        seconds = 0.0
        while child.poll() is None:
            time.sleep(0.05)
            metrics = here / "out/metrics.jsonl"
            lines = metrics.read_text().splitlines() if metrics.is_file() else []
            judged = [json.loads(line) for line in lines if '"validation": {' in line and line.endswith("}")]
            if judged:
                found = (judged[-1]["validation"]["loss"], judged[-1]["number"])
                seconds = time.perf_counter() - began
                if found[0] <= mark:
                    child.kill()
        _, told = child.communicate()
        if child.returncode not in (0, -9):
            sys.exit(told)
    return seconds, found[0], int(found[1])


def main() -> None:
    """Both, by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nanogpt", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--compile", action="store_true")
    chosen = parser.parse_args()
    theirs, ours = [], []
    for _ in range(chosen.rounds):
        settle(PATIENCE_SECONDS)
        theirs.append(nanogpt(chosen.nanogpt, is_compiled=chosen.compile))
        settle(PATIENCE_SECONDS)
        ours.append(hanlin(chosen.nanogpt, theirs[-1][1], chosen.steps, chosen.every))
    seconds = [statistics.median(row[0] for row in rows) for rows in (theirs, ours)]
    record(
        "scratch",
        {
            "nanogpt_seconds": round(seconds[0], 1),
            "nanogpt_loss": [row[1] for row in theirs],
            "is_compiled": chosen.compile,
            "hanlin_seconds": round(seconds[1], 1),
            "hanlin_loss": [round(row[1], 4) for row in ours],
            "hanlin_steps": [row[2] for row in ours],
            "ratio": round(seconds[0] / seconds[1], 2),
        },
    )


if __name__ == "__main__":
    main()
