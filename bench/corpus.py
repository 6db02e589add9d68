"""How fast do texts become rows of tokens, and in how much memory, beside what the tokenizer's library alone needs?

    python bench/corpus.py [--path deb:linux-doc-6.1/**/Documentation/**/*.rst.gz] [--context 512] [--model NAME]

Each contender has a process of its own, for its peak of resident memory counted from its first text on; the processes
run one after the other. `hanlin_cold` reads, encodes and writes the token cache, `hanlin_warm` finds it; both then plan
the rows of one epoch (`pack`) and make every one of its batches (`batches`). `tokenizers` encodes the same texts in
lists of as many as we do, only that being counted: the limit. `trl` packs the tokens that the library gave, all in
memory, splitting what is longer than a row, as we do. Processor seconds are those of all threads, and mind others at
work less. The files are in the system's own cache for all of them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from common import record

from hanlin.cli.vocabulary import open_tokenizer
from hanlin.core.home import home
from hanlin.data.encode import AT_ONCE, encoded
from hanlin.data.example import Text
from hanlin.data.read import Read, examples
from hanlin.data.settings import DataSettings, SourceSettings
from hanlin.data.stream import Stream
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.objectives.next_token import Objective

ROWS = 8
PARTS = ("encode_seconds", "pack_seconds", "batches_seconds")


def texts(path: str) -> Iterator[str]:
    """The texts of a source."""
    for item in examples(SourceSettings(path=path), (Text,)):
        if isinstance(item, Read) and isinstance(item.example, Text):
            yield item.example.text


def hanlin(tokenizer: Tokenizer, path: str, context: int, cache: str) -> dict[str, float]:
    """Ours: encode or find the tokens, plan an epoch's rows, make its batches."""
    objective, source = Objective(), SourceSettings(path=path)
    settings = DataSettings(train=(source,), cache=cache)
    begin, worked = time.perf_counter(), time.process_time()
    part = encoded(source, lambda some: objective.encode(some, tokenizer, context), (Text,), "bench", settings)
    made, worked = time.perf_counter(), time.process_time() - worked
    stream = Stream([part], [1.0], context=context, rows=ROWS, packing="best_fit", seed=0, shifts=True, pad=0)
    facts = stream.facts()
    planned = time.perf_counter()
    for _ in islice(stream.batches(), -(-facts.rows // ROWS)):
        pass
    end = time.perf_counter()
    return {
        "encode_seconds": made - begin,
        "encode_processor_seconds": worked,
        "pack_seconds": planned - made,
        "batches_seconds": end - planned,
        "bytes": part.bytes,
        "tokens": facts.tokens,
        "rows": facts.rows,
        "used_share": facts.used_share,
    }


def library(tokenizer: Tokenizer, path: str, *, context: int = 0) -> dict[str, float]:
    """The tokenizer's library alone; given a context, TRL's packing of what it gave."""
    source, found = texts(path), []
    seconds, worked, tokens = 0.0, 0.0, 0
    while some := list(islice(source, AT_ONCE)):
        begin, used = time.perf_counter(), time.process_time()
        entries = tokenizer.backend.encode_batch_fast(some, add_special_tokens=False)
        seconds, worked = seconds + time.perf_counter() - begin, worked + time.process_time() - used
        tokens += sum(map(len, entries))
        if context:
            found += [entry.ids for entry in entries]
    if not context:
        return {"encode_seconds": seconds, "encode_processor_seconds": worked, "tokens": tokens}
    from datasets import Dataset
    from trl.data_utils import pack_dataset

    begin = time.perf_counter()
    packed = pack_dataset(Dataset.from_dict({"input_ids": found}), context, "bfd_split")
    seconds = time.perf_counter() - begin
    return {
        "pack_seconds": seconds,
        "tokens": tokens,
        "rows": len(packed),
        "used_share": tokens / context / len(packed),
    }


CONTENDERS: dict[str, Callable[[Tokenizer, str, int, str], dict[str, float]]] = {
    "hanlin_cold": hanlin,
    "hanlin_warm": hanlin,
    "tokenizers": lambda tokenizer, path, _context, _cache: library(tokenizer, path),
    "trl": lambda tokenizer, path, context, _cache: library(tokenizer, path, context=context),
}


def work(who: str, given: argparse.Namespace) -> None:
    """In a process of its own: print the figures of one contender."""
    _, tokenizer = open_tokenizer(given.model)
    Path("/proc/self/clear_refs").write_text("5")  # what loading took is not what the texts take
    before = psutil.Process().memory_info().rss
    figures = CONTENDERS[who](tokenizer, given.path, given.context, given.cache)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({**figures, "peak_bytes": int(peak.split()[1]) << 10, "begin_bytes": before}))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--path", default="deb:linux-doc-6.1/**/Documentation/**/*.rst.gz", help="a source of texts")
    asked.add_argument("--context", type=int, default=512, help="positions of a row")
    asked.add_argument("--model", help="whose tokenizer; the default model's unless said")
    asked.add_argument("--only", default=",".join(CONTENDERS), help="who takes part")
    asked.add_argument("--work", default="", help=argparse.SUPPRESS)
    asked.add_argument("--cache", default="", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.work:
        work(given.work, given)
        return
    next(texts(given.path))  # a package is fetched before anything is timed
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=home()) as cache:
        for name in given.only.split(","):
            command = [sys.executable, __file__, f"--work={name}", f"--cache={cache}", f"--path={given.path}"]
            command += [f"--context={given.context}", *([f"--model={given.model}"] if given.model else [])]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
            print(name, found[name], file=sys.stderr, flush=True)
    size = next((one["bytes"] for one in found.values() if "bytes" in one), 0)
    record("corpus", {name: figures(one, size) for name, one in found.items()})


def figures(one: dict[str, Any], size: int) -> dict[str, Any]:
    """Seconds, and speeds of all of them together."""
    seconds = sum(one.get(name, 0.0) for name in PARTS)
    speeds = {
        "megabytes_per_second": round(size / seconds / 1e6, 3),
        "tokens_per_second": round(one["tokens"] / seconds),
    }
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in one.items()}
    return {**rounded, **speeds}


if __name__ == "__main__":
    main()
