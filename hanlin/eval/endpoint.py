"""Who is examined, somewhere else: any server that speaks OpenAI's API, `http://host:port/v1#model`.

Several questions are under way at once; what comes back is handed on as it comes, so that when the server dies half-way
every answer that it gave is kept. The API key is `HANLIN_API_KEY`, else `OPENAI_API_KEY`, of the environment.

Log-likelihoods need completions with `echo` and `logprobs`, which most servers of models have and OpenAI's own does
not. Where there is `/tokenize` beside `/v1` (ours, vLLM), tokens are split between prompt and choice exactly as for a
model of this machine; elsewhere by the places in the text that the server tells.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote

from hanlin.core.errors import CapacityError, ConfigError, DataError, RefusedError, StoreError, shown
from hanlin.eval.sample import Reply, Sample, parted
from hanlin.eval.task import Kind
from hanlin.infer.measures import WINDOW

STOPS = 4
"""As many OpenAI takes in a request; an answer is cut at the others here."""
NO_LIKELIHOODS = "ask it in tasks that are written (hanlin eval --list), or serve the model with hanlin serve or vLLM"


class Endpoint:
    """A model behind an address."""

    def __init__(
        self, address: str, is_chat: bool = False, at_once: int = 8, retries: int = 5, seconds: float = 300.0
    ) -> None:
        """Asks the server which models it has.

        Args:
            address: `http://host:port/v1`, with `#name` where there are several models.
            is_chat: each question is a user's message.
            at_once: requests under way.
            retries: after a failure of the connection or the server, waiting longer each time.
            seconds: that a request may take.

        Raises:
            StoreError: nobody answers there.
            ConfigError: it has not this model, or several and none is named.
        """
        from openai import OpenAI

        self.url, _, wanted = address.partition("#")
        self.url, self.at_once, self.is_chat = self.url.rstrip("/"), at_once, is_chat
        key = os.environ.get("HANLIN_API_KEY") or os.environ.get("OPENAI_API_KEY") or "none"
        self._client = OpenAI(base_url=self.url, api_key=key, max_retries=retries, timeout=seconds)
        self.model = self._named(wanted)
        self.name = f"{self.model}@{self.url.partition('://')[2]}"
        self.form = "chat" if is_chat else "plain"
        self.fingerprint = f"{self.url}#{self.model}|{self.form}"
        self._ids = lru_cache(4096)(self._asked_ids)

    def choose(self, samples: Sequence[Sample], neutral: str | None = None) -> Iterator[Reply]:
        """In the order given. Raises as `as_they_come`."""
        return self._in_order("choose", samples, neutral=neutral)

    def write(self, samples: Sequence[Sample], max_tokens: int, stop: Sequence[str]) -> Iterator[Reply]:
        """In the order given, greedily. Raises as `as_they_come`."""
        return self._in_order("write", samples, max_tokens=max_tokens, stop=stop)

    def read(self, samples: Sequence[Sample]) -> Iterator[Reply]:
        """In the order given. Raises as `as_they_come`."""
        return self._in_order("read", samples)

    def as_they_come(self, kind: Kind, samples: Sequence[Sample], **how: Any) -> Iterator[tuple[int, Reply]]:
        """Place and reply, in the order in which the server answers.

        Raises:
            StoreError: the server is gone; whatever it had answered has been handed on before.
            RefusedError: it does not do what was asked, such as log-likelihoods of a prompt.
            CapacityError: a question does not fit its context.
        """
        work: Callable[[Sample], Reply] = {
            "choose": lambda one: self._chosen(one, how.get("neutral")),
            "write": lambda one: self._written(one, how["max_tokens"], how["stop"]),
            "read": self._read_one,
        }[kind]
        failed: BaseException | None = None
        with ThreadPoolExecutor(self.at_once) as pool:
            places = {pool.submit(work, sample): place for place, sample in enumerate(samples)}
            try:
                for done in as_completed(places):
                    if done.cancelled():
                        continue
                    error = done.exception()
                    if error is None:
                        yield places[done], done.result()
                    elif failed is None:  # those under way may still bring something
                        failed = error
                        for other in places:
                            other.cancel()
            finally:
                for other in places:
                    other.cancel()
        if failed is not None:
            raise failed

    def _in_order(self, kind: Kind, samples: Sequence[Sample], **how: Any) -> Iterator[Reply]:
        found, due = {}, 0
        for place, reply in self.as_they_come(kind, samples, **how):
            found[place] = reply
            while due in found:
                yield found.pop(due)
                due += 1

    def _named(self, wanted: str) -> str:
        there = [one.id for one in self._tried(lambda: self._client.models.list().data)]
        if wanted and wanted not in there and there:
            raise ConfigError(f"{self.url} has no model {shown(wanted)}", f"it has {', '.join(there[:8])}")
        if not wanted and len(there) != 1:
            what = f"{self.url} has {len(there)} models" if there else f"{self.url} does not tell its models"
            raise ConfigError(what, f"name one: {self.url}#{there[0] if there else 'NAME'}")
        return wanted or there[0]

    def _tried(self, ask: Callable[[], Any]) -> Any:
        """What the client finds, its errors in words of the house."""
        import openai

        try:
            return ask()
        except openai.APIConnectionError as error:  # also when it takes too long
            what = f"{self.url} does not answer: {error.__cause__ or error}"
            raise StoreError(what, "see that it runs, then ask again: what was answered is kept") from None
        except openai.APIStatusError as error:
            said = shown(str((error.body or {}).get("message", error) if isinstance(error.body, dict) else error))
            what = f"{self.url} answers {error.status_code}: {said}"
            if error.status_code in (401, 403):
                raise ConfigError(what, "put its key into HANLIN_API_KEY") from None
            if error.status_code >= 500 or error.status_code == 429:
                raise StoreError(what, "ask again later: what was answered is kept") from None
            kind = CapacityError if "context" in str(error).lower() else RefusedError
            raise kind(what, "see what the server's own documentation says of it") from None
        except openai.OpenAIError as error:
            raise StoreError(f"{self.url}: {error}", "see that it speaks OpenAI's API") from None

    def _written(self, sample: Sample, max_tokens: int, stop: Sequence[str]) -> Reply:
        how: dict[str, Any] = {"model": self.model, "max_tokens": max_tokens, "temperature": 0.0}
        if stop:
            how["stop"] = list(stop[:STOPS])
        if self.is_chat:
            turns: Any = [{"role": "user", "content": sample.prompt}]
            told = self._tried(lambda: self._client.chat.completions.create(messages=turns, **how))
            text = told.choices[0].message.content or ""
        else:
            text = self._tried(lambda: self._client.completions.create(prompt=sample.prompt, **how)).choices[0].text
        ends = [place for place in map(text.find, stop) if place >= 0]
        return Reply(texts=(text[: min(ends)] if ends else text,))

    def _chosen(self, sample: Sample, neutral: str | None) -> Reply:
        figures, tokens = self._rated(sample.prompt, sample)
        alone = () if neutral is None else self._rated(neutral, sample)[0]
        return Reply(loglikelihoods=figures, alone=alone, tokens=tokens)

    def _rated(self, prompt: str, sample: Sample) -> tuple[tuple[float, ...], tuple[int, ...]]:
        if self.is_chat:
            before = self._turns(prompt)
            ends = [self._ids(choice, False) for choice in sample.choices]
            return self._sums([(*before, *end) for end in ends], list(map(len, ends)), sample)
        kept, between = parted(prompt, sample.between)
        if not self._has_tokens:
            return self._by_places(kept, [between + choice for choice in sample.choices], sample)
        if not kept:
            ends = [self._ids(between + choice, False) for choice in sample.choices]
            return self._sums([(self._beginning, *end) for end in ends], list(map(len, ends)), sample)
        count = len(self._ids(kept, True))
        wholes = [self._ids(kept + between + choice, True) for choice in sample.choices]
        return self._sums(wholes, [len(whole) - count for whole in wholes], sample)

    def _sums(
        self, wholes: Sequence[Sequence[int]], own: Sequence[int], sample: Sample
    ) -> tuple[tuple[float, ...], tuple[int, ...]]:
        if min(own, default=1) < 1:
            raise DataError(f"a choice of item {shown(sample.id)} has no tokens of its own", "give texts that differ")
        told = self._echoed([list(whole) for whole in wholes])
        sums = [
            self._sum(one.token_logprobs[len(whole) - count : len(whole)], count, sample)
            for one, whole, count in zip(told, wholes, own, strict=True)
        ]
        return tuple(sums), tuple(own)

    def _by_places(self, kept: str, ends: Sequence[str], sample: Sample) -> tuple[tuple[float, ...], tuple[int, ...]]:
        if not kept:
            raise RefusedError(
                f"{self.url} has no /tokenize: the first token of a text cannot be rated", NO_LIKELIHOODS
            )
        sums, counts = [], []
        for end, one in zip(ends, self._echoed([kept + end for end in ends]), strict=True):
            if not one.text_offset:
                raise RefusedError(f"{self.url} does not tell where its tokens stand in the text", NO_LIKELIHOODS)
            whole = len(kept + end)
            mine = [
                value
                for place, value in zip(one.text_offset, one.token_logprobs, strict=False)
                if len(kept) <= place < whole
            ]
            sums.append(self._sum(mine, len(mine), sample))
            counts.append(len(mine))
        return tuple(sums), tuple(counts)

    def _echoed(self, prompts: Sequence[Any]) -> list[Any]:
        """What the server makes of each token of the prompts, and of one more."""
        how: dict[str, Any] = {"model": self.model, "max_tokens": 1, "temperature": 0.0, "logprobs": 1, "echo": True}
        told = self._tried(lambda: self._client.completions.create(prompt=prompts, **how))
        found = [one.logprobs for one in sorted(told.choices, key=lambda one: one.index)]
        if len(found) != len(prompts) or any(one is None or not one.token_logprobs for one in found):
            raise RefusedError(f"{self.url} gives no log-likelihoods of a prompt's tokens", NO_LIKELIHOODS)
        return found

    def _sum(self, values: Sequence[float | None], count: int, sample: Sample) -> float:
        if len(values) != count or not count or any(value is None or math.isnan(value) for value in values):
            what = f"{self.url} leaves out log-likelihoods of item {shown(sample.id)}"
            raise RefusedError(what, NO_LIKELIHOODS)
        return math.fsum(value for value in values if value is not None)

    def _read_one(self, sample: Sample) -> Reply:
        from hanlin.infer.score import windows

        if not self._has_tokens:
            raise RefusedError(f"{self.url} has no /tokenize: a text cannot be cut into windows", NO_LIKELIHOODS)
        window = min(self._context - 2, WINDOW)
        total, count = 0.0, 0
        for ids, new in windows(self._ids(sample.references[0], False), self._beginning, window, window):
            (one,) = self._echoed([ids])
            total += self._sum(one.token_logprobs[len(ids) - new : len(ids)], new, sample)
            count += new
        return Reply(loglikelihoods=(total,), tokens=(count,))

    @cached_property
    def _has_tokens(self) -> bool:
        return self._beside("/tokenize", {"model": self.model, "prompt": "a", "add_special_tokens": False}) is not None

    @cached_property
    def _context(self) -> int:
        told = self._beside("/tokenize", {"model": self.model, "prompt": "a"}) or {}
        return int(told.get("max_model_len") or WINDOW)

    @cached_property
    def _beginning(self) -> int:
        told = self._beside(f"/tokenizer_info?model={quote(self.model)}") or {}
        name = told.get("bos_token") or told.get("eos_token")
        ids = self._ids(name, False) if name else ()
        if len(ids) != 1:
            raise RefusedError(f"{self.url} does not tell from which token a text begins", NO_LIKELIHOODS)
        return ids[0]

    def _asked_ids(self, text: str, is_special: bool) -> tuple[int, ...]:
        body = {"model": self.model, "prompt": text, "add_special_tokens": is_special}
        return tuple(self._tokenised(body)["tokens"])

    def _turns(self, prompt: str) -> tuple[int, ...]:
        turns = [{"role": "user", "content": prompt}]
        body = {"model": self.model, "messages": turns, "add_generation_prompt": True}
        if not self._has_tokens:
            raise RefusedError(f"{self.url} has no /tokenize: a chat's choices cannot be rated", NO_LIKELIHOODS)
        return tuple(self._tokenised(body)["tokens"])

    def _tokenised(self, body: dict[str, Any]) -> dict[str, Any]:
        told = self._beside("/tokenize", body)
        if told is None:
            raise StoreError(f"{self.url} does not answer to /tokenize any more", "see that it runs, then ask again")
        return told

    def _beside(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """What stands beside /v1; None where the server has no such thing."""
        import openai

        def ask() -> Any:
            url = f"{self.url.removesuffix('/v1')}{path}"
            if body is None:
                return self._client.get(url, cast_to=object)
            return self._client.post(url, body=body, cast_to=object)

        def asked() -> Any:
            try:
                return ask()
            except (openai.NotFoundError, openai.APIResponseValidationError):
                return None

        told = self._tried(asked)
        return told if isinstance(told, dict) else None


def is_address(name: str) -> bool:
    """A model that is behind an address."""
    return name.startswith(("http://", "https://"))
