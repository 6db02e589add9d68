"""Text in, token ids out, and back: one class over `tokenizers`, whichever file a model's tokenizer came from.

Built by `hanlin.text.folder.load_folder` (Hugging Face files) or `hanlin.text.gguf.from_metadata` (GGUF).
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import tokenizers
from tokenizers import models

from hanlin.core.errors import DataError, HanlinError, TokenizerError
from hanlin.text.message import Message
from hanlin.text.spelling import ALPHABET, Spelling, spelling
from hanlin.text.stream import TextStream
from hanlin.text.template import ChatTemplate

log = logging.getLogger(__name__)


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn whatever the tokenizers library raises over a damaged tokenizer into a TokenizerError that begins so.

    It raises bare Exception; where its own code gives up, something that is not even one.
    """
    try:
        yield
    except HanlinError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise TokenizerError(f"{what}: {error}", "fetch the model again, or another one") from None


def _tried(run: Callable[[list[str]], list[tokenizers.Encoding]], text: str) -> tokenizers.Encoding | HanlinError:
    try:
        with telling("the tokenizer cannot encode this text"):
            return run([text])[0]
    except TokenizerError as error:
        return error


class Located(NamedTuple):
    """Tokens, and where in the text they come from."""

    ids: list[int]
    places: list[tuple[int, int]]
    """First character of each token and the one after its last. Tokens that share a character overlap in it."""


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A model's tokenizer with its special tokens and chat template."""

    backend: tokenizers.Tokenizer
    """The vocabulary, merges and rules."""
    vocab_size: int
    """Number of ids: every id is below it."""
    bos: int | None = None
    """The token that begins a text, if the model has one."""
    eos: tuple[int, ...] = ()
    """All tokens that end a turn or a text; generation stops at any of them. The tokenizer's own comes first."""
    pad: int | None = None
    unk: int | None = None
    template: ChatTemplate | None = None
    """Turns a conversation into the text this model was trained on."""
    _lock: AbstractContextManager[bool] = field(default_factory=Lock, init=False, repr=False)

    def encode(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        """The ids of a text.

        `add_special` adds the beginning and end tokens that this model's own tokenizer adds. `parse_special` reads
        special tokens that are spelled out in the text, such as <|im_end|>, as those tokens: pass False for text that
        a stranger wrote. Bytes for which the vocabulary has no token at all are left out, as everywhere in the field,
        and a warning is logged that says which.

        Raises:
            DataError: the text holds half a character (a lone surrogate), which no UTF-8 can carry.
        """
        self._check(text)
        with self._lock, telling("the tokenizer cannot encode this text"):  # the switch is the shared backend's
            self.backend.encode_special_tokens = not parse_special
            return self.backend.encode(text, add_special_tokens=add_special).ids

    def encode_many(
        self, texts: Sequence[str], *, add_special: bool = True, parse_special: bool = True
    ) -> list[list[int] | HanlinError]:
        """`encode` of each text, on all cores; in the place of one that cannot be encoded, why."""
        options = {"add_special_tokens": add_special}
        found = self._each(texts, parse_special, lambda batch: self.backend.encode_batch_fast(batch, **options))
        return [entry if isinstance(entry, HanlinError) else entry.ids for entry in found]

    def located(self, texts: Sequence[str], *, parse_special: bool = True) -> list["Located | HanlinError"]:
        """`encode` of each text without what the tokenizer adds, and where in the text each token comes from."""

        def whole(batch: list[str]) -> list[tokenizers.Encoding]:
            after = self.backend.post_processor  # some cut the white space from where a token stands
            self.backend.post_processor = None  # pyright: ignore[reportAttributeAccessIssue]
            try:
                return self.backend.encode_batch(batch, add_special_tokens=False)
            finally:
                self.backend.post_processor = after

        found = self._each(texts, parse_special, whole)
        return [entry if isinstance(entry, HanlinError) else Located(entry.ids, entry.offsets) for entry in found]

    def _each(
        self,
        texts: Sequence[str],
        parse_special: bool,
        run: Callable[[list[str]], list[tokenizers.Encoding]],
    ) -> list[tokenizers.Encoding | HanlinError]:
        """What `run` makes of each text; it gets all sound ones at once, and one by one if it gives up over them."""
        wrong: dict[int, HanlinError] = {}
        for place, text in enumerate(texts):
            try:
                self._check(text)
            except DataError as error:
                wrong[place] = error
        sound = [text for place, text in enumerate(texts) if place not in wrong]
        with self._lock:
            self.backend.encode_special_tokens = not parse_special
            try:
                with telling("the tokenizer cannot encode these texts"):
                    read: Sequence[tokenizers.Encoding | HanlinError] = run(sound)
            except TokenizerError:
                read = [_tried(run, text) for text in sound]
        rest = iter(read)
        return [wrong[place] if place in wrong else next(rest) for place in range(len(texts))]

    def _check(self, text: str) -> None:
        """Refuses half a character; tells of bytes that no token stands for."""
        try:
            lost = text.encode().translate(None, self._spelled)
        except UnicodeEncodeError as error:
            raise DataError(
                f"the text holds half a character, U+{ord(text[error.start]):04X}, at position {error.start}",
                "decode the text from UTF-8 with errors='replace', or remove that character",
            ) from None
        if lost:
            shown = ", ".join(f"0x{byte:02x}" for byte in sorted(set(lost)))
            log.warning("%d bytes of the text are left out: the vocabulary has no token for %s", len(lost), shown)

    def decode(self, tokens: Sequence[int], *, skip_special: bool = False) -> str:
        """The text of some ids: a stream run to its end.

        Raises:
            TokenizerError: an id is not in the vocabulary.
        """
        stream = self.stream(skip_special=skip_special)
        return stream.push(*tokens) + stream.finish()

    def stream(self, *, skip_special: bool = True, goes_on: bool = False, shown: Sequence[int] = ()) -> TextStream:
        """A decoder for tokens that arrive one by one.

        `skip_special` leaves special tokens out of the text, but for those `shown`; with `goes_on` the first token is
        spelled as in the middle of a text, so SentencePiece's leading space stays.
        """
        middle = replace(self._spelling, first=self._spelling.later, drops_spaces=0)
        skipped = self._special.difference(shown) if skip_special else frozenset[int]()
        return TextStream(middle if goes_on else self._spelling, self._piece, skipped)

    def chat(
        self,
        messages: Sequence[Message | Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[int]:
        """The ids of a conversation in this model's chat format, as Transformers' `apply_chat_template` gives them.

        The template writes the beginning-of-text token itself, so none is added. Like everywhere, special tokens
        spelled out in a message are read as such: a message holding <|im_end|> ends its own turn. Check what strangers
        write before it comes here.

        Raises:
            TokenizerError: the model has no chat template, or it cannot be applied to these messages.
        """
        if self.template is None:
            raise TokenizerError(
                "this model has no chat template: it continues texts and was not taught to converse",
                "use `hanlin generate` with plain text, or take an instruction-tuned model",
            )
        text = self.template.render(messages, add_generation_prompt=add_generation_prompt, tools=tools)
        return self.encode(text, add_special=False)

    def token_bytes(self, token: int) -> bytes:
        """The bytes a token writes in the middle of a text.

        Raises:
            TokenizerError: the id is not in the vocabulary.
        """
        piece = self._piece(token)
        return b"" if piece is None else self._spelling.later(piece)

    def token_text(self, token: int) -> str:
        """The text a token writes in the middle of a text, U+FFFD where it holds only part of a character.

        Raises:
            TokenizerError: the id is not in the vocabulary.
        """
        return self.token_bytes(token).decode(errors="replace")

    def is_special(self, token: int) -> bool:
        """Whether a token is a mark for the model, such as an end of turn, and no text."""
        return token in self._special

    def _piece(self, token: int) -> str | None:
        """A token as the vocabulary spells it; None for an id that the vocabulary leaves out between others."""
        if 0 <= token < self.vocab_size:
            return self.backend.id_to_token(token)
        raise TokenizerError(
            f"token id {token} is not in the vocabulary", f"ids run from 0 to {self.vocab_size - 1} for this model"
        )

    @cached_property
    def _spelling(self) -> Spelling:
        return spelling(self.backend)

    @cached_property
    def _spelled(self) -> bytes:
        """The bytes that a text may have without losing any: all, but for byte-level vocabularies with gaps."""
        model = self.backend.model
        if not isinstance(model, models.BPE) or not self._spelling.is_byte_level or model.unk_token:
            return bytes(range(256))
        return bytes(byte for letter, byte in ALPHABET.items() if model.token_to_id(letter) is not None)

    @cached_property
    def _special(self) -> frozenset[int]:
        added = self.backend.get_added_tokens_decoder()
        return frozenset(token for token, entry in added.items() if entry.special)
