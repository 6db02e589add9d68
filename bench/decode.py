"""How many tokens per second does a model write, one at a time, against Transformers with the same float32 weights?

    python bench/decode.py [--tokens 32] [--prompt 64] [--rounds 9]

Greedy, one row, the choice of the token included, no sampling settings; each has read the prompt before the clock
starts. "generate" is Transformers' own loop, "loop" the same bare loop that we run.
"""

import argparse
import time
from pathlib import Path

import torch
from common import record
from peers import both, in_turn
from transformers import PreTrainedModel

from hanlin.model.decoder import Decoder


def ours(network: Decoder, prompt: torch.Tensor, count: int) -> float:
    """Tokens per second."""
    cache = network.cache(1, prompt.shape[1] + count)
    token = network.head(network.trunk(prompt, cache)[:, -1:]).argmax(-1)
    begin = time.perf_counter()
    for _ in range(count):
        token = network(token, cache).argmax(-1)
    return count / (time.perf_counter() - begin)


def theirs(network: PreTrainedModel, prompt: torch.Tensor, count: int) -> float:
    """Tokens per second of the bare loop."""
    answer = network(prompt, use_cache=True, logits_to_keep=1)
    begin = time.perf_counter()
    for _ in range(count):
        token = answer.logits.argmax(-1)
        answer = network(token, past_key_values=answer.past_key_values, use_cache=True)
    return count / (time.perf_counter() - begin)


def generate(network: PreTrainedModel, prompt: torch.Tensor, count: int) -> float:
    """Tokens per second of Transformers' `generate`, its reading of the prompt taken off."""
    some = {"do_sample": False, "pad_token_id": 0, "attention_mask": torch.ones_like(prompt)}
    seconds = []
    for tokens in (1, count + 1):
        begin = time.perf_counter()
        network.generate(prompt, max_new_tokens=tokens, min_new_tokens=tokens, **some)  # pyright: ignore
        seconds.append(time.perf_counter() - begin)
    return count / (seconds[1] - seconds[0])


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("model", nargs="?", type=Path, help="a folder or .gguf file; the default model when not given")
    asked.add_argument("--tokens", type=int, default=32, help="tokens written per run")
    asked.add_argument("--prompt", type=int, default=64, help="tokens read before")
    asked.add_argument("--rounds", type=int, default=9, help="runs of each; the median counts")
    given = asked.parse_args()
    network, peer = both(given.model)
    prompt = torch.randint(0, 1000, (1, given.prompt), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        speed = in_turn(
            {
                "hanlin": lambda: ours(network, prompt, given.tokens),
                "transformers_loop": lambda: theirs(peer, prompt, given.tokens),
                "transformers_generate": lambda: generate(peer, prompt, given.tokens),
            },
            given.rounds,
        )
    figures = {f"{name}_tokens_per_second": round(value, 2) for name, value in speed.items()}
    times = {f"times_{name}": round(speed["hanlin"] / value, 3) for name, value in speed.items() if name != "hanlin"}
    record("decode", {"prompt_tokens": given.prompt, "tokens": given.tokens, **figures, **times})


if __name__ == "__main__":
    main()
