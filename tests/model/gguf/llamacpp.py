"""llama.cpp, asked in a process of its own: what it refuses or crashes on fails one test and not the run."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SECONDS = 120

SCRIPT = """
import json, os, sys, urllib.request
import xllamacpp as llama

asked = json.load(sys.stdin)
params = llama.CommonParams()
params.model.path = asked.pop("path")
params.n_ctx, params.n_parallel, params.cpuparams.n_threads, params.n_gpu_layers = asked.pop("context"), 1, 1, 0
params.warmup, params.fit_params, params.verbosity = False, False, -1
params.cache_type_k = params.cache_type_v = llama.ggml_type.GGML_TYPE_F32
params.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
server = llama.Server(params)

def tokens(text):
    sent = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
    with urllib.request.urlopen(f"{server.listening_address}/tokenize", sent, timeout=60) as answer:
        return json.load(answer)["tokens"]

if "texts" in asked:
    reply = [tokens(text) for text in asked["texts"]]
elif "messages" in asked:
    reply = server.handle_chat_completions(asked)
else:
    reply = server.handle_completions(asked)
with open(sys.argv[1], "w") as sink:
    json.dump(reply, sink)
os._exit(0)  # the end of a server that has hardly begun can wait for itself for ever
"""


def ask(path: Path, folder: Path, context: int = 256, **request: Any) -> Any:
    """The reply of llama.cpp's server to one OpenAI-like request, greedy; `folder` takes the reply's file."""
    asked = {"path": str(path), "context": context, "temperature": 0, "cache_prompt": False, **request}
    out = folder / "reply.json"
    out.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, out], input=json.dumps(asked), capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0 and out.is_file(), f"{done.returncode}: {done.stdout[-999:]}{done.stderr[-2999:]}"
    return json.loads(out.read_text())


Step = tuple[int, dict[int, float]]


def greedy(
    path: Path, folder: Path, tokens: Sequence[int], steps: int, vocabulary: int, context: int = 256
) -> list[Step]:
    """For each of `steps` tokens to follow: the token, and the log-probability of every token of the vocabulary."""
    reply = ask(path, folder, context, prompt=list(tokens), n_predict=steps, n_probs=vocabulary, ignore_eos=True)
    content = reply["choices"][0]["logprobs"]["content"]
    return [(step["id"], {top["id"]: top["logprob"] for top in step["top_logprobs"]}) for step in content]


def tokenized(path: Path, folder: Path, texts: Sequence[str]) -> list[list[int]]:
    """The ids of each text, special tokens read as such, none added."""
    return ask(path, folder, texts=list(texts))
