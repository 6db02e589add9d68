"""A tokenizer of single bytes and a tiny llama, made here: enough to generate with, in a millisecond a token."""

import torch
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.text.spelling import byte_alphabet
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer

TEMPLATE = "{% for m in messages %}<turn>{{ m.role }}: {{ m.content }}{% endfor %}<turn>"


def tokenizer() -> Tokenizer:
    """Single bytes, longer pieces, one of which cuts across characters, and two special tokens."""
    letters = {byte: letter for letter, byte in byte_alphabet().items()}
    longer = ["ab", "ba", "abc", "\n\n", "。a", "he", "llo", " the"]
    raw = [bytes([byte]) for byte in range(256)] + [text.encode() for text in longer] + ["翰林".encode()[1:4]]
    vocabulary = {"".join(letters[byte] for byte in piece): place for place, piece in enumerate(raw)}
    backend = Backend(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken("<end>", special=True), AddedToken("<turn>", special=True)])
    end = backend.token_to_id("<end>")
    return Tokenizer(backend, backend.get_vocab_size(), eos=(end,), template=ChatTemplate(TEMPLATE, {}))


def network(tokenizer: Tokenizer, context: int = 64) -> Decoder:
    """Random weights, and a few head rows more than there are tokens, as many real models have."""
    config = llama.Config(
        vocabulary=tokenizer.vocab_size + 5,
        width=32,
        layers=2,
        heads=4,
        kv_heads=2,
        head_width=8,
        mlp=48,
        context=context,
        epsilon=1e-5,
        has_tied_head=False,
    )
    torch.manual_seed(7)
    made = Decoder(llama.parts(config)).eval().requires_grad_(False)
    for weight in made.parameters():
        weight.normal_(0, 0.5 if weight.ndim > 1 else 1)
    return made
