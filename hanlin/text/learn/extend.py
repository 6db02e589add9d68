"""A pretrained tokenizer and what it lacks in; the same tokenizer with new tokens out.

A token learnt from a corpus is merged from old ones when all old merges are done. So texts keep their old tokens except
where a new one stands for several of them, and a new token, taken apart again, gives the old ids, in every text.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from tokenizers import AddedToken, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from hanlin.core.errors import DataError, TokenizerError, shown
from hanlin.text.learn.cuts import bounded
from hanlin.text.learn.feed import pieces
from hanlin.text.tokenizer import Tokenizer

FIRST = 0x10000
"""The letter that stands for token 0 while merges of tokens are learnt: from here on no character is a space."""
Merge = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Extension:
    """A tokenizer that grew."""

    tokenizer: Tokenizer
    """The new one."""
    made_of: dict[int, tuple[int, ...]]
    """Each new token's id, and the old tokens that its text was made of."""
    known: tuple[str, ...] = ()
    """Tokens that were asked for and are in the vocabulary already."""

    def apart(self, tokens: Iterable[int]) -> list[int]:
        """New ids as the old tokenizer would have given them."""
        return [old for token in tokens for old in self.made_of.get(token, (token,))]


def with_tokens(tokenizer: Tokenizer, tokens: Iterable[str]) -> Extension:
    """Tokens of your own: wherever one is spelled out in a text, within a word too, it becomes that one token.

    Raises:
        DataError: one is empty or only space, or none of them is new.
        TokenizerError: the vocabulary has gaps, and its kind cannot say which id a new token gets.
    """
    asked = list(dict.fromkeys(tokens))
    for token in asked:
        if not token.strip() or "\0" in token:
            raise DataError(f"{shown(token)} cannot be a token", "give each token a text of its own")
    made_of = {token: tuple(tokenizer.encode(token, add_special=False)) for token in asked}
    there = {token: at for token in asked if (at := tokenizer.backend.token_to_id(token)) is not None}
    for token, at in there.items():
        if tokenizer.token_text(at) != token:
            raise DataError(f"{shown(token)} is how the vocabulary spells another token", "leave it out")
    known = tuple(token for token in asked if len(made_of[token]) == 1 or token in there)
    fresh = [token for token in asked if token not in known]
    if not fresh:
        raise DataError(f"none of {len(asked)} tokens is new: the vocabulary has them all", "give others")
    ids = {token: tokenizer.vocab_size + place for place, token in enumerate(fresh)}
    is_bpe = isinstance(tokenizer.backend.model, models.BPE)
    backend = _grown(tokenizer.backend, ids if is_bpe else {}, [])
    backend.add_tokens([AddedToken(token, special=False, normalized=False) for token in fresh])
    if any(backend.token_to_id(token) != at for token, at in ids.items()):
        raise TokenizerError("the vocabulary has gaps, where new tokens would fall", "extend a BPE tokenizer")
    grown = replace(tokenizer, backend=backend, vocab_size=tokenizer.vocab_size + len(fresh))
    return Extension(grown, {ids[token]: made_of[token] for token in fresh}, known)


def from_corpus(tokenizer: Tokenizer, blocks: Iterable[str], count: int, min_frequency: int = 2) -> Extension:
    """At most `count` new tokens, each the pair of neighbours that then saves most tokens on the corpus.

    The text may be larger than memory: what is kept are its distinct words. A corpus with less to learn gives fewer.

    Raises:
        TokenizerError: the tokenizer is no byte-level BPE, the only kind to which merges can be added.
        DataError: the corpus is empty, or nothing in it comes often enough to be worth a token.
    """
    model = json.loads(tokenizer.backend.to_str())["model"]
    if model["type"] != "BPE" or model["byte_fallback"] or tokenizer.backend.pre_tokenizer is None:
        raise TokenizerError(
            f"new tokens are learnt for byte-level BPE, and this is another kind: {model['type']}",
            "give the tokens yourself, with --tokens",
        )
    vocabulary = tokenizer.backend.get_vocab(with_added_tokens=True)
    spelled = {at: token for token, at in vocabulary.items()}
    old = {tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ", 1)) for pair in model["merges"]}
    fresh: dict[str, int] = {}
    merges: list[Merge] = []
    made_of: dict[int, tuple[int, ...]] = {}
    for left, right in _learnt(tokenizer, pieces(blocks), count, min_frequency):
        if len(fresh) == count:
            break
        pair = tuple("".join(spelled[at] for at in part) for part in (left, right))
        text = "".join(pair)
        if pair not in old:
            old.add(pair)
            merges.append((pair[0], pair[1]))
        if text not in vocabulary and text not in fresh:
            at = fresh[text] = tokenizer.vocab_size + len(fresh)
            made_of[at] = (*left, *right)
    if not fresh:
        raise DataError(f"no pair of tokens comes {min_frequency} times in this corpus", "give more text")
    backend = _grown(tokenizer.backend, fresh, merges)
    return Extension(replace(tokenizer, backend=backend, vocab_size=tokenizer.vocab_size + len(fresh)), made_of)


def _learnt(
    tokenizer: Tokenizer, texts: Iterator[str], count: int, min_frequency: int
) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Pairs of runs of old tokens to merge, the most frequent first: BPE over words whose letters are tokens."""
    letters = [chr(FIRST + at) for at in range(tokenizer.vocab_size)]
    backend = Backend(models.BPE())
    backend.pre_tokenizer = bounded(pre_tokenizers.WhitespaceSplit())
    trainer = trainers.BpeTrainer(
        vocab_size=len(letters) + count + count // 4 + 64,  # some merges make a token that is there already
        min_frequency=min_frequency,
        initial_alphabet=letters,
        show_progress=False,
    )
    backend.train_from_iterator((_words(tokenizer.backend, text) for text in texts), trainer)
    for pair in json.loads(backend.to_str())["model"]["merges"]:
        left, right = ([ord(letter) - FIRST for letter in part] for part in pair)
        yield left, right


def _words(backend: Backend, text: str) -> str:
    """The words of a text that have more than one token, spelled in letters that stand for tokens."""
    backend.encode_special_tokens = True
    found = backend.encode(text, add_special_tokens=False)
    words = groupby(zip(found.word_ids, found.ids, strict=True), key=lambda entry: entry[0])
    spelled = ("".join(chr(FIRST + at) for _, at in word) for _, word in words)
    return " ".join(word for word in spelled if len(word) > 1)


def _grown(backend: Backend, fresh: dict[str, int], merges: list[Merge]) -> Backend:
    """A copy with more tokens and merges. Added tokens are listed with their ids, which they would lose otherwise."""
    state = json.loads(backend.to_str())
    if fresh:
        state["model"]["vocab"] = backend.get_vocab(with_added_tokens=True) | fresh
        pairs = [pair if isinstance(pair, list) else pair.split(" ", 1) for pair in state["model"]["merges"]]
        state["model"]["merges"] = [*pairs, *map(list, merges)]
    return Backend.from_str(json.dumps(state, ensure_ascii=False))
