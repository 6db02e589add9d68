"""A thousand requests of all kinds at a tiny server, a third of whose clients leave: nothing lost, mixed up or kept.

    python tests/serve/chaos.py [--requests 1000]

Run by hand; `test_keeping.py` has the small one.
"""

import argparse
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from serve.live import live, until


def main() -> None:
    """Ask, leave, compare, and weigh the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    count = parser.parse_args().requests
    chance = random.Random(1)
    asked: list[dict[str, Any]] = [
        {"prompt": "hello " * chance.randint(1, 60) + str(k), "max_tokens": chance.randint(1, 60), "seed": k}
        for k in range(count)
    ]
    kinds = [chance.choice(("whole", "stream", "leave")) for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder, live(Path(folder), streams=8, queue=2000, kv_mb=8) as server:
        url = f"{server.api}/completions"
        with httpx.Client(timeout=120) as one:
            alone = {k: one.post(url, json=asked[k]).json()["choices"][0]["text"] for k in range(0, count, 7)}
        start = psutil.Process().memory_info().rss

        def ask(k: int) -> str | None:
            with httpx.Client(timeout=300) as http:
                if kinds[k] == "whole":
                    reply = http.post(url, json=asked[k])
                    assert reply.status_code == 200, reply.text
                    return reply.json()["choices"][0]["text"]
                with http.stream("POST", url, json={**asked[k], "stream": True}) as reply:
                    text = ""
                    for line in reply.iter_lines():
                        if kinds[k] == "leave" and text:
                            return None
                        if line.startswith("data: {"):
                            text += __import__("json").loads(line[6:])["choices"][0]["text"]
                    return text

        began = time.monotonic()
        with ThreadPoolExecutor(64) as threads:
            found = list(threads.map(ask, range(count)))
        wrong = [k for k in alone if found[k] is not None and found[k] != alone[k]]
        assert not wrong, f"{len(wrong)} answers changed in company: {wrong[:5]}"
        keeper, gate = server.server.pool.loaded["tiny"].keeper, server.server.gate("tiny")
        until(lambda: not keeper.load and not gate.inside)
        engine: Any = keeper.engine
        grown = psutil.Process().memory_info().rss - start
        print(
            f"{count} requests in {time.monotonic() - began:.1f} s, {sum(one is None for one in found)} left half-way"
        )
        print(f"compared {sum(found[k] is not None for k in alone)}, all the same; preempted {engine.counts.preempted}")
        print(f"memory grew by {grown / 1e6:.1f} MB; {engine.pages.free} of {engine.pages.count} blocks free again")
        assert engine.pages.free == engine.pages.count


if __name__ == "__main__":
    main()
