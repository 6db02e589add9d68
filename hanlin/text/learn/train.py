"""A corpus in, a tokenizer out: `learn` for a run, `save` for a folder.

The result is read by `hanlin.text.folder.load_folder`, by Transformers, and, where GGUF has words for it, by llama.cpp.
Trainers: https://huggingface.co/docs/tokenizers/api/trainers
"""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken

from hanlin.core.errors import ConfigError, StoreError
from hanlin.text.folder import save_folder
from hanlin.text.gguf import surround
from hanlin.text.learn import kinds
from hanlin.text.learn.feed import pieces
from hanlin.text.learn.settings import ENDS, LearnSettings
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer

log = logging.getLogger(__name__)

CHATML = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{{ turn['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def learn(blocks: Iterable[str], settings: LearnSettings) -> Tokenizer:
    """The tokenizer that the settings ask for, learnt from the text that the blocks make together.

    The text may be larger than memory: what is kept are its distinct words and their counts. Blocks go on from one
    another; put a line break between documents. The same text gives the same tokenizer, however it is cut into blocks.
    A corpus that has less to learn than asked for gives a smaller vocabulary, and a warning is logged that says so.

    Raises:
        ConfigError: the vocabulary has no room, or a setting means nothing to this kind.
        DataError: the corpus is empty, no text, or too small for this kind.
    """
    settings.pieces()
    backend = getattr(kinds, settings.kind)(pieces(blocks, settings.most_bytes), settings)
    for mark in settings.marks():
        if mark != settings.unk and backend.token_to_id(mark) is not None:
            raise ConfigError(f"the special token {mark!r} is a piece of ordinary text", f"call it <|{mark}|>")
    backend.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in settings.marks()])
    size = 1 + max(backend.get_vocab().values())
    if size < settings.vocabulary:
        log.warning("the corpus has only %d tokens to learn, of %d asked for", size, settings.vocabulary)
    if settings.bos:
        backend.post_processor = surround([settings.bos], [], backend)
    ends = tuple(dict.fromkeys(mark for mark in (settings.eos, *ENDS[1:]) if mark in settings.marks()))
    named = {name: getattr(settings, name) for name in ("bos", "eos", "pad", "unk")}
    if not named["eos"] and ends:
        named["eos"] = ends[0]
    ids = {name: backend.token_to_id(mark) for name, mark in named.items() if mark}
    template = None
    if settings.chat == "chatml":
        template = ChatTemplate(
            CHATML, {f"{name}_token": mark for name, mark in named.items() if mark}, {"default": CHATML}
        )
    eos = tuple(backend.token_to_id(mark) for mark in ends)
    return Tokenizer(backend, size, ids.get("bos"), eos, ids.get("pad"), ids.get("unk"), template)


def save(tokenizer: Tokenizer, path: Path) -> None:
    """Write the folder; where several tokens end a text, generation_config.json says so.

    Raises:
        StoreError: the folder cannot be written.
    """
    save_folder(tokenizer, path)
    if len(tokenizer.eos) < 2:
        return
    try:
        text = json.dumps({"eos_token_id": list(tokenizer.eos)}, indent=2) + "\n"
        (path / "generation_config.json").write_text(text, "utf-8")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}", "choose a folder you may write, with room") from None
