"""One engine with one model, asked over standard input: for bench/engines.py, in the Python that has the engine.

    python bench/contenders.py llama.cpp model.gguf

A line of JSON in, such as {"depth": 1000, "tokens": 32, "streams": 1}; one out, with the seconds to the first token of
the last prompt and the tokens per second of all answers after that. Prompts are drawn anew each time, so that nothing
was read before, but for "again": 1, which asks for the last prompts once more. Answers are greedy and do not end early.
The first line says how many bytes of weights it reads for a token. Nothing of Hanlin is imported but by its contender.
"""

import importlib
import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

MOST, VOCABULARY = 8192, 40_000
THREADS = len(os.sched_getaffinity(0))


LAST: list[list[int]] = []


def prompts(depth: int, streams: int, again: int) -> list[list[int]]:
    """Tokens that no prompt before had, or those of the last time."""
    if not again:
        LAST[:] = [[random.randrange(100, VOCABULARY) for _ in range(max(8, depth))] for _ in range(streams)]
    return LAST


def file_bytes(path: str, pattern: str) -> int:
    """Of a file, or of those in a folder."""
    where = Path(path)
    return sum(file.stat().st_size for file in ([where] if where.is_file() else where.glob(pattern)))


class Hanlin:
    """Our engine; FILE:int8 and the like."""

    def __init__(self, model: str) -> None:
        import hanlin
        from hanlin.eval.speed import Bench

        name, _, dtype = model.rpartition(":")
        self.bench = Bench(hanlin.load(name, dtype), streams=32, keeps=True)
        self.bytes = self.bench.engine.plan.bytes

    def run(self, depth: int, tokens: int, streams: int, again: int = 0) -> tuple[float, float]:
        """Seconds to the first token, tokens per second after it."""
        return self.bench.ask(prompts(depth, streams, again), tokens)


class LlamaCpp:
    """llama.cpp's server in this process, without HTTP."""

    def __init__(self, model: str) -> None:
        xllamacpp: Any = importlib.import_module("xllamacpp")

        params = xllamacpp.CommonParams()
        params.model.path, params.n_ctx, params.verbosity, params.warmup = model, 32 * 1024, -1, False
        params.n_parallel, params.cpuparams.n_threads, params.cpuparams_batch.n_threads = 32, THREADS, THREADS
        params.kv_unified = True
        self.server, self.bytes = xllamacpp.Server(params), file_bytes(model, "")

    def _one(self, prompt: list[int], tokens: int) -> dict[str, Any]:
        asked = {
            "prompt": prompt,
            "n_predict": tokens,
            "temperature": 0,
            "cache_prompt": True,
            "ignore_eos": True,
        }
        return self.server.handle_completions(asked)["timings"]

    def run(self, depth: int, tokens: int, streams: int, again: int = 0) -> tuple[float, float]:
        """Seconds to the first token, tokens per second after it."""
        asked = prompts(depth, streams, again)
        if streams == 1:
            found = self._one(asked[0], tokens)
            return found["prompt_ms"] / 1e3, found["predicted_per_second"]
        timings: list[dict[str, Any]] = []
        threads = [threading.Thread(target=lambda one=one: timings.append(self._one(one, tokens))) for one in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Each says how long its answer took; all are written in the same time, but for the prompts' turns.
        return 0.0, sum(one["predicted_per_second"] for one in timings)


class OpenVINO:
    """OpenVINO GenAI, with a folder that optimum-cli exported."""

    def __init__(self, model: str) -> None:
        self.genai: Any = importlib.import_module("openvino_genai")
        settings = self.genai.SchedulerConfig()
        settings.max_num_batched_tokens, settings.enable_prefix_caching = MOST, True
        self.pipe = self.genai.LLMPipeline(model, "CPU", scheduler_config=settings, INFERENCE_NUM_THREADS=THREADS)
        self.bytes = file_bytes(model, "openvino_model.bin")

    def run(self, depth: int, tokens: int, streams: int, again: int = 0) -> tuple[float, float]:
        """Seconds to the first token, tokens per second after it."""
        import numpy

        openvino: Any = importlib.import_module("openvino")

        config = self.genai.GenerationConfig(max_new_tokens=tokens, ignore_eos=True, do_sample=False)
        ids = numpy.array(prompts(depth, streams, again), numpy.int64)
        given = self.genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
        began = time.perf_counter()
        metrics = self.pipe.generate(given, config).perf_metrics
        first = metrics.get_ttft().mean / 1e3
        rest = time.perf_counter() - began - first
        return first, streams * (tokens - 1) / rest if tokens > 1 else 0.0


class Transformers:
    """Transformers' generate, float32 or bfloat16: FOLDER:float32."""

    def __init__(self, model: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(THREADS)
        folder, _, dtype = model.rpartition(":")
        self.torch = torch
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
        self.bytes = file_bytes(folder, "*.safetensors") // (1 if dtype == "float32" else 2)

    def run(self, depth: int, tokens: int, streams: int, again: int = 0) -> tuple[float, float]:
        """Seconds to the first token, tokens per second after it."""
        ids = self.torch.tensor(prompts(depth, streams, again))
        seconds = []
        with self.torch.inference_mode():
            for count in {1, tokens}:
                began = time.perf_counter()
                self.model.generate(
                    ids,
                    attention_mask=self.torch.ones_like(ids),
                    max_new_tokens=count,
                    min_new_tokens=count,
                    do_sample=False,
                    pad_token_id=0,
                )
                seconds.append(time.perf_counter() - began)
        seconds.sort()
        rest = seconds[-1] - seconds[0]
        return seconds[0], streams * (tokens - 1) / rest if rest > 0 else 0.0


ENGINES = {"hanlin": Hanlin, "llama.cpp": LlamaCpp, "openvino": OpenVINO, "transformers": Transformers}


def main() -> None:
    """Open the engine, say so, and answer lines until there are none."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints is not ours
    engine: Any = ENGINES[sys.argv[1]](sys.argv[2])
    engine.run(8, 2, 1)
    print(json.dumps({"bytes": engine.bytes}), file=out, flush=True)
    for line in sys.stdin:
        first, speed = engine.run(**json.loads(line))
        status = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
        peak = int(status["VmHWM"].split()[0]) << 10
        print(json.dumps({"first": first, "speed": speed, "peak_bytes": peak}), file=out, flush=True)
    os._exit(0)  # some engines wait for threads that never come


if __name__ == "__main__":
    main()
