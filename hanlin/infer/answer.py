"""One answer in the making: a row of logits in, an event out. It owns its chance, its penalties, its text."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hanlin.infer.choose import History, choose, report
from hanlin.infer.event import Event, Finish
from hanlin.infer.sampling import Sampling
from hanlin.infer.stop import StopWatch
from hanlin.text.tokenizer import Tokenizer


class Answer:
    """Answer `index` to a prompt, drawn from its own seed. It lives until its last event."""

    def __init__(
        self, index: int, seed: int, prompt: Sequence[int], drawable: int, tokenizer: Tokenizer, sampling: Sampling
    ) -> None:
        self.index = index
        self.sampling = sampling
        self.tokens = list(prompt)
        """Prompt and answer so far."""
        self.count = 0
        """Tokens of the answer so far."""
        self.chance = torch.Generator().manual_seed(seed)
        self.finish: Finish | None = None
        self.drawable = drawable
        self.history = History(torch.tensor(self.tokens), self.drawable, sampling)
        self.ends = ends(tokenizer, sampling)
        self.stream = tokenizer.stream(skip_special=True)
        self.watch = StopWatch(sampling.stop)

    @torch.inference_mode()
    def take(self, logits: Float[Tensor, " V"], dropped: int = 0) -> Event:
        """Choose the next token from the model's logits.

        Raises:
            WeightsError: the logits are not numbers.
        """
        logits = logits.float()
        token = choose(self.history.penalise(logits[: self.drawable]), self.sampling, self.chance)
        logprob, top = report(logits, token, self.sampling.logprobs, self.drawable)
        self.history.add(token)
        self.tokens.append(token)
        self.count += 1
        text, self.finish = self._say(token)
        return Event(self.index, token, text, logprob, top, self.finish, dropped)

    def _say(self, token: int) -> tuple[str, Finish | None]:
        """What may be shown after `token`, and whether that was the end. Half a character is never shown."""
        if token in self.ends:
            return self.watch.push(self.stream.finish()) + self.watch.finish(), "stop"
        text = self.watch.push(self.stream.push(token))
        if self.watch.is_stopped:
            return text, "stop"
        if self.count == self.sampling.max_tokens:
            return text + self.watch.finish(), "length"
        return text, None


def ends(tokenizer: Tokenizer, sampling: Sampling) -> frozenset[int]:
    """Tokens that end an answer: the model's own, and stop texts that are a special token (those show no text)."""
    named = [tokenizer.encode(stop, add_special=False) for stop in sampling.stop]
    lone = {tokens[0] for tokens in named if len(tokens) == 1}
    return frozenset(tokenizer.eos) | {token for token in lone if tokenizer.is_special(token)}
