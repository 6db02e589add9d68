"""What the tests of objectives share: a tokenizer of bytes with the marks of several styles, and tiny networks."""

from functools import cache

import numpy as np
import torch
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend
from torch import Tensor

from hanlin.core.errors import HanlinError
from hanlin.data.batch import Marked
from hanlin.model.attention import View
from hanlin.model.config import small
from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.text.spelling import byte_alphabet
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer

MARKS = ["<|im_end|>", "<|im_start|>", "<s>", "</s>", "<|head|>", "<|/head|>", "<|eot|>", "<turn>", "</turn>", "[MASK]"]
SENTINELS = [f"<extra_id_{number}>" for number in range(20)]
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@cache
def backend() -> Backend:
    letters = {byte: letter for letter, byte in byte_alphabet().items()}
    longer = [b"the ", b"is", b"\n\n", b" a", "。".encode()]
    raw = [bytes([byte]) for byte in range(256)] + longer
    vocabulary = {"".join(letters[byte] for byte in piece): place for place, piece in enumerate(raw)}
    built = Backend(models.BPE(vocabulary, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(mark, special=True) for mark in [*MARKS, *SENTINELS]])
    return built


def tokenizer(
    template: str = CHATML, ends: tuple[str, ...] = ("<|im_end|>", "</s>", "<|eot|>", "</turn>")
) -> Tokenizer:
    """Every byte is a token; the marks of all styles are special, and any of `ends` stops generation."""
    built = backend()
    eos = tuple(built.token_to_id(end) for end in ends)
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    return Tokenizer(built, built.get_vocab_size(), eos=eos, template=ChatTemplate(template, special))


def network(**changes: int) -> Decoder:
    """A tiny llama in double precision for this tokenizer."""
    torch.manual_seed(0)
    config = llama.Config(**{**small(), "vocabulary": backend().get_vocab_size(), "context": 256, **changes})
    made = Decoder(llama.parts(config)).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape, dtype=weight.dtype) * 0.05)
    return made


class TwoWay(Decoder):
    """The same, seeing what comes after as well."""

    is_causal = False

    def _views(
        self, begin: int, end: int, cache: object, x: Tensor, places: Tensor, documents: Tensor | None
    ) -> list[View]:
        mask = None
        if documents is not None:
            is_apart = documents[:, None, :, None] != documents[:, None, None, :]
            mask = torch.zeros(is_apart.shape, dtype=x.dtype).masked_fill_(is_apart, -torch.inf)
        views = super()._views(begin, end, None, x, places, documents)
        return [view._replace(is_causal=False, mask=mask) for view in views]


def two_way() -> TwoWay:
    torch.manual_seed(0)
    config = llama.Config(**{**small(), "vocabulary": backend().get_vocab_size(), "context": 256})
    return TwoWay(llama.parts(config)).double()


def sound(found: list[Marked | HanlinError]) -> list[Marked]:
    """All of them, none of which is an error."""
    for entry in found:
        assert isinstance(entry, Marked), entry
    return [entry for entry in found if isinstance(entry, Marked)]


def shown(tokens: Tokenizer, marked: Marked, opens: str = "⟦", closes: str = "⟧") -> str:
    """The text of marked tokens, what is graded in brackets."""
    graded = np.ones(len(marked.ids), bool) if marked.graded is None else marked.graded
    text, start = "", 0
    for at in range(1, len(graded) + 1):
        if at == len(graded) or graded[at] != graded[start]:
            piece = tokens.decode(marked.ids[start:at].tolist())
            text += f"{opens}{piece}{closes}" if graded[start] else piece
            start = at
    return text
