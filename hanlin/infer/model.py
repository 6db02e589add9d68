"""The model as a Python user holds it: a name in; logits, events, scores and tables out.

import hanlin
model = hanlin.load()
print("".join(event.text for event in model.chat([{"role": "user", "content": "What is the capital of France?"}])))

torch, which takes longer to import than a small model to load, is imported when it computes: never to generate with
our own kernels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args, overload

import numpy as np
from jaxtyping import Float, Int

from hanlin.core.errors import CapacityError, ConfigError, DataError, RefusedError, TokenizerError, did_you_mean, shown
from hanlin.core.machine import allowed_cores, allowed_memory
from hanlin.core.settings import parse
from hanlin.infer.constraint import Constraint
from hanlin.infer.engine import Engine, EngineSettings, Request
from hanlin.infer.engine.draft import Draft
from hanlin.infer.engine.shelf import identity
from hanlin.infer.event import Event
from hanlin.infer.measures import WINDOW, Choice, Next, Pooling, Score
from hanlin.infer.opening import BITS, based, drafting, native, precision
from hanlin.infer.sampling import SLIDE, Sampling
from hanlin.model.compiled import Compiled
from hanlin.model.native import Native
from hanlin.model.store import DEFAULT, resolve
from hanlin.text.long import PIECE, encode_long
from hanlin.text.message import Message, Role
from hanlin.text.tokenizer import Tokenizer

ADAPTER = "adapter"
"""What the engine of a model with an adapter calls it."""

Turn = Message | Mapping[str, Any]


def load(
    name: str | Path = "",
    dtype: Any = None,
    adapter: str | Path | None = None,
    engine: EngineSettings | None = None,
    draft: str | Path | None = None,
) -> "Model":
    """A model ready to use, fetched first if it is not here yet.

    Args:
        name: a stored name, a hub name (org/name[@revision]), a folder or a .gguf file; "" for the embedded default.
            An adapter's folder means the model it names, with it.
        dtype: precision of the computation, a torch.dtype or "float32", "bfloat16", "float16"; "int8" and "int4" keep
            weights in whole numbers and compute with our own kernels, several times as fast on a processor; so does
            "stored" with those a GGUF file has. None for float32.
        adapter: a folder of PEFT or `hanlin train`; whatever the model answers, it answers with this LoRA.
        engine: how our own kernels generate.
        draft: a smaller model of the same tokens that guesses what this one checks: never another answer, and sooner
            where the guesses are good; where they are not, it is not asked.

    Raises:
        RefusedError: the adapter was trained on other weights, or is of a kind not carried.
        ConfigError: the precision is none of these.
        ConfigError: there are no native kernels for whole numbers, "stored" is no GGUF file, or there are settings of
            an engine for a model that computes with torch.
        StoreError: no such model, or it cannot be fetched.
        WeightsError: the checkpoint is damaged, incomplete or of a kind not carried.
        TokenizerError: its tokenizer cannot be built.
    """
    name = str(name) or DEFAULT
    path, beside = based(resolve(name), None if adapter is None else str(adapter))
    if isinstance(dtype, str) and dtype in BITS:
        return Model(*native(name, path, BITS[dtype], beside), engine, drafting(resolve(str(draft))) if draft else None)
    if engine is not None or draft:
        what = f"dtype = {shown(dtype or 'float32')} computes with torch, which has no engine's settings and no draft"
        raise ConfigError(what, 'load it with dtype="int8", "int4" or "stored"')
    import torch

    from hanlin.model.load import load as load_checkpoint

    torch.set_num_threads(allowed_cores().count)
    checkpoint = load_checkpoint(path, precision(dtype))
    if beside is not None:
        from hanlin.model.adapters import peft

        peft.load(checkpoint.network, beside)
        checkpoint.network.eval()
    return Model(checkpoint, name, adapter=beside)


class Model:
    """A network with its tokenizer. B sequences, T tokens each, V ids in the vocabulary."""

    def __init__(
        self,
        checkpoint: Any,
        name: str = "",
        network: Any = None,
        adapter: Path | None = None,
        settings: EngineSettings | None = None,
        draft: Native | None = None,
    ) -> None:
        """Of a `Checkpoint`, or of a `Native` (`hanlin.model.native`) and its `Compiled` network.

        `adapter` is the folder of the one that the network has already, `settings` are of the engine it will have, and
        `draft` guesses for it.
        """
        self.adapter, self.settings, self.draft = adapter, settings or EngineSettings(), draft
        self.checkpoint = checkpoint
        self.name = name or checkpoint.path.name
        self.network: Any = network or checkpoint.network
        self.config = checkpoint.config

    def __repr__(self) -> str:
        if isinstance(self.network, Compiled):
            size = f"{self.network.bytes / 1e6:,.0f} MB of weights, {self.network.kind}"
            return f"Model({self.name!r}: {self.checkpoint.family}, {size})"
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        dtype = str(self.network.embed.weight.dtype).removeprefix("torch.")
        return f"Model({self.name!r}: {self.checkpoint.family}, {weights / 1e6:,.0f} M weights, {dtype})"

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer.

        Raises:
            TokenizerError: the checkpoint has none.
        """
        if self.checkpoint.tokenizer is None:
            fix = "put its tokenizer.json beside the weights; logits(tokens) works without one"
            raise TokenizerError(f"{self.name} has no tokenizer", fix)
        return self.checkpoint.tokenizer

    @property
    def context(self) -> int:
        """The context window: most tokens the network can see at once."""
        return self.config.context

    def logits(self, tokens: Int[Any, "B T"]) -> Float[Any, "B T V"]:
        """What the network thinks comes after each token, as unnormalised log-probabilities (nats).

        Raises:
            DataError: not a tensor of whole numbers of that shape, or an id is outside the vocabulary.
            CapacityError: T exceeds the context window, or the logits exceed the free memory.
        """
        import torch

        is_right = (
            isinstance(tokens, torch.Tensor) and tokens.dim() == 2 and tokens.numel() and not tokens.is_floating_point()
        )
        if not is_right:
            what = (
                f"logits of {list(tokens.shape) if isinstance(tokens, torch.Tensor) else shown(tokens)} make no sense"
            )
            raise DataError(what, "give ids as torch.tensor([model.tokenizer.encode(text)]), of shape [B T]")
        self._check(tokens.flatten().tolist())
        self._check_length(tokens.shape[1])
        needed = tokens.numel() * self.config.vocabulary * self._bytes_of_number
        if needed > (free := allowed_memory().available_bytes):
            what = f"logits of {tokens.numel():,} tokens take {needed:,} bytes, and {free:,} bytes of memory are free"
            raise CapacityError(
                what, "give fewer tokens at once; score and generate hold no more logits than they need"
            )
        with torch.inference_mode():
            return self.network(tokens)

    def generate(
        self, prompt: str | Sequence[int], *, constraint: Constraint | None = None, **sampling: Any
    ) -> Iterator[Event]:
        """Continue a text, or token ids, event by event; errors in the settings or the prompt come at the call.

        Args:
            prompt: text (special tokens such as <|im_end|> are read as such, BOS is added where the model's own
                tokenizer adds it), or ids, taken as they are.
            constraint: what the answer must be: `json_schema`, `regex` or `grammar` of `hanlin.infer.constraint`.
            **sampling: fields of `hanlin.infer.sampling.Sampling`; without any, up to 256 tokens, always the likeliest.

        Raises:
            ConfigError: a setting is unknown or out of range, or the constraint cannot be satisfied.
            DataError: an id is outside the vocabulary.
            RefusedError: the prompt has no tokens.
            CapacityError: prompt and max_tokens exceed the context window, or the cache exceeds the free memory.
        """
        chosen = parse(Sampling, sampling)
        if not isinstance(prompt, str | Sequence):
            raise DataError(f"the prompt is {shown(prompt)}", "give a text, or a list of token ids")
        tokens = self.encode(prompt, chosen) if isinstance(prompt, str) else list(prompt)
        self._check(tokens)
        return self.answer(tokens, chosen, constraint)

    def answer(
        self, tokens: Sequence[int], sampling: Sampling, constraint: Constraint | None = None
    ) -> Iterator[Event]:
        """As `generate`, of ids that are in the vocabulary and settings that are sound."""
        if isinstance(self.network, Compiled):
            adapter = None if self.network.adapter is None else ADAPTER
            return self.engine.generate(Request(tuple(tokens), sampling, constraint, adapter=adapter))
        from hanlin.infer.generate import generate

        return generate(self.network, self.tokenizer, tokens, sampling, constraint)

    @cached_property
    def engine(self) -> Engine:
        """What generates with a compiled model; it keeps what it has read for prompts that begin alike.

        Raises:
            ConfigError: the model is not compiled, or its draft speaks other tokens.
            CapacityError: there is no memory for keys and values.
            StoreError: the settings' folder cannot keep what was read.
        """
        if not isinstance(self.network, Compiled):
            raise ConfigError(f"{self.name} computes with torch", 'load it with dtype="int8", "int4" or "stored"')
        whose = identity(self.checkpoint.path, self.network.kind) if self.settings.prefix_folder else None
        plan, config = self.network.plan, self.network.config
        draft = None if self.draft is None else Draft.of(self.draft)
        engine = Engine(plan, self.tokenizer, self.context, self.settings, config, whose, draft)
        if self.network.adapter is not None:
            engine.load_adapter(ADAPTER, self.network.adapter)
        return engine

    def encode(self, prompt: str, sampling: Sampling) -> list[int]:
        """Ids of a prompt. One too long for the window is found out at the cost of a window, not of the prompt.

        Raises:
            CapacityError: the prompt is longer than the context window and may not lose its beginning.
        """
        if len(prompt) <= PIECE:
            return self.tokenizer.encode(prompt)
        tokens = self.tokenizer.encode("")  # what it adds before a text
        read = 0
        for piece in encode_long(self.tokenizer, [prompt], parse_special=True):
            tokens += piece.tokens
            read += len(piece.text)
            if sampling.overflow == "error" and len(tokens) > self.context:
                about = round(len(tokens) * len(prompt) / read)
                what = f"the prompt has about {about:,} tokens and the context window holds {self.context:,}"
                raise CapacityError(what, f"shorten it; {SLIDE}")
        return tokens

    def chat(
        self, messages: Sequence[Turn], *, constraint: Constraint | None = None, **sampling: Any
    ) -> Iterator[Event]:
        """Answer a conversation through the model's own chat template.

        Args:
            messages: turns such as `{"role": "user", "content": "…"}`, oldest first.
            constraint: as in `generate`.
            **sampling: as in `generate`.

        Raises:
            ConfigError: a message or a setting is wrong.
            TokenizerError: the model has no chat template, or it refuses these messages, or there are none.
            RefusedError: the template does what no template needs.
            CapacityError: as in `generate`.
        """
        chosen = parse(Sampling, sampling)
        return self.answer(self.conversation(messages, chosen), chosen, constraint)

    def conversation(self, messages: Sequence[Turn], sampling: Sampling) -> list[int]:
        """Ids of a conversation, ready for the answer. Raises as `chat`."""
        for place, turn in enumerate(messages):
            plain = turn.plain() if isinstance(turn, Message) else turn
            if not isinstance(plain, Mapping) or "role" not in plain or not {"content", "tool_calls"} & plain.keys():
                raise ConfigError(f"messages[{place}] = {shown(turn)} is no message", 'write {"role": …, "content": …}')
            if plain["role"] not in get_args(Role):
                what = f"messages[{place}].role = {shown(plain['role'])} is nobody who can speak"
                raise ConfigError(what, did_you_mean(str(plain["role"]), get_args(Role)))
            if len(content := str(plain.get("content") or "")) > PIECE:
                self.encode(content, sampling)  # what cannot fit is found out before the template is filled
        return self.tokenizer.chat(messages)

    def next(self, text: str, k: int = 20) -> Next:
        """The table of the next token, and what the model thinks of the text itself.

        Args:
            text: the beginning; special tokens in it are read as such.
            k: rows of the table.

        Raises:
            ConfigError: k is not positive.
            RefusedError: the text has no tokens.
            CapacityError: the text exceeds the context window.
        """
        if k < 1:
            raise ConfigError(f"k = {k} rows are no table", "give k = 1 or more")
        tokens = self.encode(text, Sampling())
        if not tokens:
            raise RefusedError("the text is empty", "give at least one character")
        self._check_length(len(tokens))
        from hanlin.infer.next_token import next_token

        return next_token(self.network, tokens, k, min(self.config.vocabulary, self.tokenizer.vocab_size))

    def embed(self, texts: Sequence[str], pooling: Pooling = "mean") -> Float[np.ndarray, "N D"]:
        """A vector of length 1 for each text: the product of two is their cosine.

        Args:
            pooling: the "mean" over all positions, or the "last" one's, which has seen the whole text.

        Raises:
            DataError: a text is empty.
            CapacityError: a text exceeds the context window.
        """
        for text in texts:
            self._check_length(len(self.encode(text, Sampling())))
        from hanlin.infer.embed import embed

        return embed(self.network, self.tokenizer, texts, pooling)

    def logprobs(self, texts: Sequence[str]) -> list[list[tuple[int, float]]]:
        """Each text's tokens with their log-probabilities (nats), each given all before it; the first given BOS or EOS.

        Raises:
            CapacityError: a text exceeds the context window.
            RefusedError: the tokenizer has neither BOS nor EOS to begin with.
        """
        ids = [self.encode(text, Sampling()) for text in texts]
        for one in ids:
            self._check_length(len(one))
        from hanlin.infer.choices import logprobs

        return logprobs(self.network, self.tokenizer, ids)

    @overload
    def score(self, text: str, choices: None = None, *, window: int | None = None, stride: int | None = None) -> Score:
        pass

    @overload
    def score(self, text: str, choices: Sequence[str]) -> list[Choice]:
        pass

    def score(
        self,
        text: str,
        choices: Sequence[str] | None = None,
        *,
        window: int | None = None,
        stride: int | None = None,
    ) -> Score | list[Choice]:
        """How well the model knows a text of any length; or, with choices, how well each of them goes on from it.

        Args:
            text: data; nothing in it is read as a special token. With choices special tokens are read as such.
            choices: texts that differ, such as [" yes", " no"]; they join the text without anything between. It is
                read once, however many there are.
            window: tokens seen at once; None for the context window, at most 2,048.
            stride: tokens each window after the first predicts; None for as many as the window, without overlap.

        Raises:
            ConfigError: the stride does not fit the window; choices are none, not different or empty.
            CapacityError: the window, or text and choice, exceed the context window.
            DataError: the text is empty.
            RefusedError: the tokenizer has neither BOS nor EOS to begin with.
        """
        if choices is not None:
            from hanlin.infer.choices import rate, whole_texts

            for ids in whole_texts(self.tokenizer, text, choices):
                self._check_length(len(ids) - 1)
            return rate(self.network, self.tokenizer, text, choices)
        *_, whole = self.scores([text], window, stride)
        return whole

    def scores(
        self, blocks: Iterable[str], window: int | None = None, stride: int | None = None, name: str = "the text"
    ) -> Iterator[Score]:
        """As `score` for a text that comes in blocks and may exceed memory: the score so far, window by window."""
        window = self.window if window is None else window
        self._check_length(window)
        from hanlin.infer.score import score

        return score(self.network, self.tokenizer, blocks, window=window, stride=stride, name=name)

    @property
    def _bytes_of_number(self) -> int:
        return 4 if isinstance(self.network, Compiled) else self.network.embed.weight.element_size()

    @property
    def window(self) -> int:
        """Tokens seen at once in scoring if nothing else is asked for."""
        return min(self.context, WINDOW)

    def _check(self, tokens: Sequence[int]) -> None:
        vocabulary = self.config.vocabulary
        for place, token in enumerate(tokens):
            if not 0 <= token < vocabulary:
                raise DataError(
                    f"token id {token} at place {place} is not in the vocabulary",
                    f"ids run from 0 to {vocabulary - 1:,}",
                )

    def _check_length(self, count: int) -> None:
        if count > self.context:
            raise CapacityError(f"{count:,} tokens exceed the context window of {self.context:,}", "give fewer at once")
