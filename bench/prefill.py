"""How many tokens per second does a model read, against Transformers with the same float32 weights?

    python bench/prefill.py [--lengths 16,128,512] [--rounds 5]

One row, into an empty cache, logits of the last position only: what happens between a question and the first token.
"""

import argparse
import time
from pathlib import Path

import torch
from common import record
from peers import both, in_turn
from transformers import PreTrainedModel

from hanlin.model.decoder import Decoder


def ours(network: Decoder, prompt: torch.Tensor) -> float:
    """Tokens per second."""
    begin = time.perf_counter()
    network.head(network.trunk(prompt, network.cache(1, prompt.shape[1] + 1))[:, -1:])
    return prompt.shape[1] / (time.perf_counter() - begin)


def theirs(network: PreTrainedModel, prompt: torch.Tensor) -> float:
    """Tokens per second."""
    begin = time.perf_counter()
    network(prompt, use_cache=True, logits_to_keep=1)
    return prompt.shape[1] / (time.perf_counter() - begin)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("model", nargs="?", type=Path, help="a folder or .gguf file; the default model when not given")
    asked.add_argument("--lengths", default="16,128,512", help="tokens of the prompts")
    asked.add_argument("--rounds", type=int, default=5, help="runs of each; the median counts")
    given = asked.parse_args()
    network, peer = both(given.model)
    figures = {}
    for length in map(int, given.lengths.split(",")):
        prompt = torch.randint(0, 1000, (1, length), generator=torch.Generator().manual_seed(0))
        runs = {
            "hanlin": lambda text=prompt: ours(network, text),
            "transformers": lambda text=prompt: theirs(peer, text),
        }
        with torch.inference_mode():
            speed = in_turn(runs, given.rounds)
        figures[str(length)] = {f"{name}_tokens_per_second": round(value, 1) for name, value in speed.items()}
        figures[str(length)]["times_transformers"] = round(speed["hanlin"] / speed["transformers"], 3)
    record("prefill", {"by_prompt_tokens": figures})


if __name__ == "__main__":
    main()
