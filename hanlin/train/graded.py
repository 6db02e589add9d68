"""Which tokens of a conversation the assistant says: chats and a tokenizer in, marked tokens out.

The tokens are those of `tokenizer.chat`. What is graded begins where serving would let the model begin, after the
template's own opening of an answer, and ends with the token at which generation stops; the new line that many templates
write after it is not graded. Where that is, is found by rendering parts of the conversation and comparing texts, since
few templates say it themselves (`{% generation %}`, as Transformers' `return_assistant_tokens_mask` reads it; what they
say is believed). Templates rewrite what they are given: trim, merge, cut old thoughts, put in a system prompt. A
conversation whose parts cannot be told apart for certain gives an error, not a guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np
from jaxtyping import Bool

from hanlin.core.errors import DataError, HanlinError, RefusedError, TokenizerError, shown
from hanlin.data.batch import Marked
from hanlin.data.example import Chat
from hanlin.text.message import Message
from hanlin.text.tokenizer import Located, Tokenizer

Span = tuple[int, int]
"""First character and the one after the last."""


def marked(tokenizer: Tokenizer, chats: Sequence[Chat], last_turn_only: bool = False) -> list[Marked | HanlinError]:
    """Each chat as `tokenizer.chat` writes it, graded on what the assistant says; or why that cannot be told.

    `last_turn_only` grades what comes after the last thing the user says.
    """
    texts: list[str | HanlinError] = [_written(tokenizer, chat) for chat in chats]
    located = iter(tokenizer.located([text for text in texts if isinstance(text, str)]))
    found: list[Marked | HanlinError] = []
    for chat, text in zip(chats, texts, strict=True):
        tokens = next(located) if isinstance(text, str) else text
        if isinstance(tokens, HanlinError):
            found.append(tokens)
            continue
        assert isinstance(text, str)
        try:
            graded = _Turns(tokenizer, chat, text, tokens).graded(last_turn_only)
        except HanlinError as error:
            found.append(error)
        else:
            found.append(Marked(np.array(tokens.ids, np.int32), graded))
    return found


def _written(tokenizer: Tokenizer, chat: Chat) -> str | HanlinError:
    """The whole conversation as text."""
    if not any(message.role == "assistant" for message in chat.messages):
        return DataError("nobody answers in this conversation", "give it a message of the role assistant")
    if tokenizer.template is None:
        return TokenizerError(
            "this model has no chat template", "give it one, or train on columns prompt and completion"
        )
    try:
        return tokenizer.template.render(chat.messages, False, chat.tools or None)
    except HanlinError as error:
        return error


def overlapping(tokenizer: Tokenizer, tokens: Located, spans: Sequence[Span]) -> Bool[np.ndarray, " N"]:
    """Tokens that hold a character of a span. A special token, which may swallow spaces, must begin within it."""
    begins, ends = np.array(tokens.places, np.int64).reshape(-1, 2).T
    is_special = np.array([tokenizer.is_special(token) for token in tokens.ids], bool)
    graded = np.zeros(len(tokens.ids), bool)
    for begin, end in spans:
        inside = (begins < end) & (ends > begin)
        graded |= inside & ~(is_special & (begins < begin))
    return graded


@dataclass(frozen=True, eq=False)
class _Turns:
    """One conversation, and where its turns are in the text."""

    tokenizer: Tokenizer
    chat: Chat
    text: str
    tokens: Located

    def graded(self, last_turn_only: bool) -> Bool[np.ndarray, " N"]:
        """Tokens that the assistant says."""
        messages = self.chat.messages
        first = 0
        if last_turn_only:
            first = max((at for at, message in enumerate(messages) if message.role == "user"), default=-1) + 1
        spoken = [at for at, message in enumerate(messages) if message.role == "assistant" and at >= first]
        if not spoken:
            raise DataError("nobody answers the last message", "end the conversation with what the assistant says")
        for at in spoken:
            self._check_said(at)
        assert self.tokenizer.template is not None
        own = self.tokenizer.template.generated(messages, self.chat.tools or None)
        if own:
            begin = self._begin(spoken[0]) if last_turn_only else 0
            spans = [self._ended(*span) for span in own if span[1] > begin]
        else:
            spans = [(begin := self._begin(at), self._end(at, begin)) for at in spoken]
        return overlapping(self.tokenizer, self.tokens, spans)

    def _check_said(self, at: int) -> None:
        """Refuses what the template leaves out, as some do with calls: the answer would be learnt as empty."""
        message = self.chat.messages[at]
        calls = [str(call.get("function", call).get("name", "")) for call in message.tool_calls]
        said = message.content.rpartition("</think>")[2].split()[-1:]
        for words in (*calls, *said):
            if words not in self.text:
                raise TokenizerError(
                    f"the chat template leaves out what message {at + 1}, the assistant's, holds: {shown(words)}",
                    "take a model whose template knows such messages, or leave the row out",
                )

    def _begin(self, at: int) -> int:
        """Where message `at` begins: after what opens an answer in serving, else where its own words stand."""
        opened = self._render(self.chat.messages[:at], True)
        if opened is not None and self.text.startswith(opened):
            return len(opened)
        begin = self._place(at)
        if begin is None:
            raise self._lost(at)
        return begin

    def _end(self, at: int, begin: int) -> int:
        """Where message `at` ends, the token that ends a turn included."""
        alone = self._render(self.chat.messages[: at + 1], False)
        closed = len(alone) if alone is not None and self.text.startswith(alone) and len(alone) >= begin else None
        if closed is not None and (end := self._last_stop(begin, closed)) is not None:
            return end
        following = self._place(at + 1) if at + 1 < len(self.chat.messages) else None
        if following is not None and (end := self._last_stop(begin, following)) is not None:
            return end
        if closed is None:
            raise self._lost(at)
        return begin + len(self.text[begin:closed].rstrip())

    def _ended(self, begin: int, end: int) -> Span:
        """A stretch that the template marks, with the token that ends the turn and nothing after it."""
        stops = [span for span in self._stops if span[0] >= begin]
        after = next((stop for start, stop in stops if start == end), None)
        if after is not None:
            return begin, after
        last = max((stop for _, stop in stops if stop <= end), default=None)
        return begin, last if last is not None and not self.text[last:end].strip() else end

    def _last_stop(self, begin: int, end: int) -> int | None:
        """The end of the last token of a stretch at which generation stops."""
        return max((stop for start, stop in self._stops if begin <= start < end), default=None)

    @cached_property
    def _stops(self) -> list[Span]:
        """Where the tokens stand at which generation stops."""
        pairs = zip(self.tokens.ids, self.tokens.places, strict=True)
        return [place for token, place in pairs if token in self.tokenizer.eos]

    def _place(self, at: int) -> int | None:
        """Where the words of message `at` begin: where a text differs that has another word in their place."""
        word = next(word for word in (f"word{number}" for number in count()) if word not in self.text)
        messages = self.chat.messages
        said = Message(role=messages[at].role, content=word, tool_call_id=messages[at].tool_call_id)
        said = said.model_copy(update={"name": messages[at].name})
        text = self._render((*messages[:at], said, *messages[at + 1 :]), False)
        before, found, _ = (text or "").partition(word)
        return len(before) if found and self.text.startswith(before) else None

    def _render(self, messages: Sequence[Message], opens: bool) -> str | None:
        """Some messages as text; None if the template does not take them alone."""
        assert self.tokenizer.template is not None
        try:
            return self.tokenizer.template.render(messages, opens, self.chat.tools or None)
        except (TokenizerError, RefusedError):
            return None

    def _lost(self, at: int) -> HanlinError:
        return TokenizerError(
            f"the chat template does not let us tell which tokens are message {at + 1}, the assistant's",
            'objective.last_turn_only = true grades the last turn only; objective.train_on = "all" everything',
        )
