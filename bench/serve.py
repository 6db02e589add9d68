"""How many answers a second arrive in time, beside llama.cpp's server and `transformers serve`, on the same load?

    python bench/serve.py HF_FOLDER GGUF [--rates 0.5 1 2 4] [--requests 60] [--rounds 1] [--leave 0.1]

Open loop: requests arrive by a Poisson process whether or not others are done, so that a slow server cannot slow its
own load. Prompts share a system message and differ in length (20 to 300 words), answers have 16 to 96 tokens, greedy,
streamed; one in ten hangs up half-way. In time is a first token within 2 s and the following ones within 150 ms each on
average. Goodput is answers in time per second of offered load; the best of all rates is what a server can be asked for.
Ours computes in int8; llama.cpp has the GGUF file (name its type), Transformers float32 with continuous batching.
"""

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from common import record

FIRST_SECONDS, EACH_SECONDS = 2.0, 0.15
WORDS = (
    "river stone morning letter garden window silver journey market village answer teacher planet engine forest winter "
    "paper bridge music silent copper harbour yellow travel measure"
).split()
SYSTEM = "You are a careful assistant. Answer in plain words, and keep to what you are asked. " * 4
LLAMA = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_parallel, params.n_ctx = sys.argv[1], int(sys.argv[2]), 16, 16 * 2048
params.kv_unified, params.verbosity = True, -1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(sys.argv[3])
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
time.sleep(1e9)
"""
OURS = "from hanlin.cli.main import main; main()"


@dataclass
class Seen:
    """What a client saw of one request."""

    first: float | None = None
    each: float | None = None
    whole: float = 0.0
    tokens: int = 0
    error: str = ""
    has_left: bool = False

    @property
    def is_in_time(self) -> bool:
        """Whole, its first token soon and the others steadily."""
        return (
            not self.error
            and self.first is not None
            and self.first <= FIRST_SECONDS
            and (self.each or 0) <= EACH_SECONDS
        )


@dataclass
class Load:
    """Requests and when they come."""

    rate: float
    count: int
    leave: float
    seed: int
    asked: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance, now = random.Random(self.seed), 0.0
        for number in range(self.count):
            words = " ".join(chance.choices(WORDS, k=chance.randint(20, 300)))
            turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{number}: {words}"}]
            self.asked.append(
                {"messages": turns, "max_tokens": chance.randint(16, 96), "temperature": 0, "stream": True}
            )
            self.times.append(now)
            now += chance.expovariate(self.rate)


@contextlib.contextmanager
def server(name: str, folder: Path, gguf: Path, port: int, threads: int) -> Iterator[str]:
    """One of the servers, ready; its base URL."""
    argv = {
        "hanlin": [sys.executable, "-c", OURS, "serve", str(folder), "--dtype=int8", f"--port={port}", "--no-studio"],
        "llama.cpp": [sys.executable, "-c", LLAMA, str(gguf), str(port), str(threads)],
        "transformers": [
            str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--port", str(port),
            "--continuous-batching", "--device", "cpu", "--dtype", "float32",
        ],
    }[name]  # fmt: skip
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        body = {"model": str(folder), "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
        if name == "hanlin":
            del body["model"]
        for _ in range(240):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.post(f"{url}/chat/completions", json=body, timeout=120).status_code == 200:
                    break
            if child.poll() is not None:
                sys.exit(f"{name} ended with {child.returncode}: {' '.join(argv)}")
            time.sleep(0.5)
        yield url
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()


async def ask(http: httpx.AsyncClient, url: str, body: dict[str, Any], leaves: bool) -> Seen:
    """One request as a client sees it; the text counts by its chunks, of which each server sends one a token."""
    seen, began = Seen(), time.perf_counter()
    try:
        async with http.stream("POST", f"{url}/chat/completions", json=body) as reply:
            if reply.status_code != 200:
                seen.error = str(reply.status_code)
                return seen
            async for line in reply.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                told = json.loads(line[6:])
                if "error" in told:
                    seen.error = str(told["error"])[:80]
                if not told.get("choices") or not told["choices"][0]["delta"].get("content"):
                    continue
                seen.tokens += 1
                seen.first = seen.first or time.perf_counter() - began
                if leaves and seen.tokens > 8:
                    seen.has_left = True
                    break
    except httpx.HTTPError as error:
        seen.error = type(error).__name__
    seen.whole = time.perf_counter() - began
    if seen.tokens > 1 and seen.first is not None:
        seen.each = (seen.whole - seen.first) / (seen.tokens - 1)
    return seen


async def offered(url: str, model: dict[str, str], load: Load) -> list[Seen]:
    """All of a load, each at its time."""
    chance = random.Random(load.seed + 1)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=300, limits=limits) as http:
        began, tasks = time.perf_counter(), []
        for when, body in zip(load.times, load.asked, strict=True):
            await asyncio.sleep(max(0.0, began + when - time.perf_counter()))
            tasks.append(asyncio.create_task(ask(http, url, {**body, **model}, chance.random() < load.leave)))
        return await asyncio.gather(*tasks)


def told(load: Load, seen: list[Seen]) -> dict[str, Any]:
    """The figures of one load."""
    stayed = [one for one in seen if not one.has_left]
    firsts = sorted(one.first for one in stayed if one.first is not None)
    wholes = sorted(one.whole for one in stayed if not one.error)
    span = load.times[-1] + load.times[1]

    def at(values: list[float], share: float) -> float | None:
        return round(values[min(len(values) - 1, int(share * len(values)))], 2) if values else None

    return {
        "rate": load.rate,
        "goodput": round(sum(one.is_in_time for one in stayed) / span, 2),
        "in_time": round(sum(one.is_in_time for one in stayed) / max(1, len(stayed)), 2),
        "refused": sum(one.error == "429" for one in stayed),
        "failed": sum(bool(one.error) and one.error != "429" for one in stayed),
        "first_p50": at(firsts, 0.5),
        "first_p95": at(firsts, 0.95),
        "whole_p50": at(wholes, 0.5),
        "whole_p95": at(wholes, 0.95),
    }


def main() -> None:
    """All servers, by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 1, 2, 4])
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--leave", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", nargs="+", default=["hanlin", "llama.cpp", "transformers"])
    chosen = parser.parse_args()
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen.peers}
    for number in range(chosen.rounds):
        for place, name in enumerate(chosen.peers):
            with server(name, chosen.folder, chosen.gguf, 9300 + 10 * number + place, chosen.threads) as url:
                model = {} if name == "hanlin" else {"model": str(chosen.folder)}
                for rate in chosen.rates:
                    load = Load(rate, chosen.requests, chosen.leave, seed=1000 * number + int(100 * rate))
                    figures[name].append(told(load, asyncio.run(offered(url, model, load))))
                    print(name, figures[name][-1], file=sys.stderr, flush=True)
    best = {}
    for name, rows in figures.items():
        rates = {row["rate"]: [one["goodput"] for one in rows if one["rate"] == row["rate"]] for row in rows}
        best[name] = max(statistics.median(values) for values in rates.values())
    record("serve", {"gguf": chosen.gguf.name, "best_goodput": best, "loads": figures})


if __name__ == "__main__":
    main()
