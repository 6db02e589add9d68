"""A run that is killed with SIGKILL again and again, and gone on with each time: `python killed.py RUN OUT KILLS SEED`.

One process imports everything and then only forks, so that each life of the run begins in milliseconds. Where a life
ends is chance: while the run is prepared, in the middle of a step or while a checkpoint is written.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path


def last_step(out: Path) -> int:
    """The last step that the run has told of."""
    try:
        lines = (out / "metrics.jsonl").read_text("utf-8").splitlines()
        return max((json.loads(line)["number"] for line in lines), default=0)
    except (OSError, ValueError):
        return 0


def begin(*words: str) -> int:
    """Fork a process that is `hanlin train …`; its id."""
    child = os.fork()
    if child:
        return child
    from hanlin.cli.main import main

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["hanlin", "train", *words]
    try:
        main()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    os._exit(0)


def kill_again_and_again(run: str, out: Path, kills: int, draw: random.Random) -> dict[str, object]:
    """The same run through as many lives; what was going on at each end, and the exit code of the last."""
    points, halves = [], 0
    for _ in range(kills):
        child = begin(run, f'out="{out}"', "--resume")
        if draw.random() < 0.15:
            time.sleep(draw.random() * 0.3)
        else:
            goal, patience = last_step(out) + draw.randint(1, 4), time.monotonic() + 30
            while last_step(out) < goal and runs_still(child) and time.monotonic() < patience:
                time.sleep(0.001)
            time.sleep(draw.random() * 0.03)
        if not runs_still(child):
            break
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        points.append(last_step(out))
        halves += bool(list((out / "checkpoints").glob(".step-*")))
    child = begin(run, f'out="{out}"', "--resume")
    return {"points": points, "in_a_checkpoint": halves, "exit": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}


def runs_still(child: int) -> bool:
    """Whether it runs still; a dead one is left for waitpid."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


if __name__ == "__main__":
    run, folder, kills, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    import torch
    import torch._dynamo  # optimisers import it when they are made: half a second of each life

    import hanlin.cli.train.progress
    import hanlin.train.pupil
    import hanlin.train.session

    torch.set_num_threads(1)
    hanlin.train.pupil.product_speed = lambda *_: 1e11  # half a second, too
    whole = begin(run, f'out="{folder / "whole"}"')
    code = os.waitstatus_to_exitcode(os.waitpid(whole, 0)[1])
    told = kill_again_and_again(run, folder / "broken", kills, random.Random(seed))
    sys.stdout.write(json.dumps({"whole": code, **told}))
