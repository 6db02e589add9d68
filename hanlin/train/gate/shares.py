"""What training and validation share: whole examples, or runs of 13 words. Both make validation say too much good.

A word is a run of letters and digits, in small letters where they are ASCII; a Chinese character or a kana counts as a
word. So the comparison is the same for every tokenizer, whatever stands between the words. Runs that more than 10
training examples or most of the validation examples have are formulas, such as a system prompt or a licence, and do not
count; nor do examples of which less than a tenth is shared.
13 words and the 10 examples: GPT-3, appendix C, https://arxiv.org/abs/2005.14165
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from hanlin.core.errors import shown
from hanlin.data.encoded import Encoded
from hanlin.train.gate.grading import sample
from hanlin.train.gate.inputs import where
from hanlin.train.gate.report import Refusal
from hanlin.train.gate.survey import Case, Indices, Place, blocks, chosen
from hanlin.train.gate.words import RUN, Words, runs

MOST_TRAINING = 40_000_000
"""Tokens of training data that are compared; more are sampled."""
MOST_VALIDATION = 4_000_000
"""Tokens of validation data that are compared."""
FORMULA = 10
"""Training examples with the same run above which it is a formula."""
PART = 0.1
"""Of an example's words that shared runs must hold: one run is enough for up to 130 words, not for a book."""
BITS = 24
"""Of the table that most runs are told apart with before they are looked up."""


def duplicates(case: Case) -> Iterator[Refusal | str]:
    """Examples that are in both, exactly."""
    inputs, train, validation = case.inputs, case.train, case.validation
    if not train.read or not validation.read:
        return
    ours = np.concatenate([part.hashes for part in inputs.train])
    theirs = np.concatenate([part.hashes for part in inputs.validation])
    shared = np.isin(theirs, ours)
    if shared.any():
        first = int(shared.argmax())
        twin = int((ours == theirs[first]).argmax())
        places = [_place(inputs.validation, first), _place(inputs.train, twin)]
        what = (
            f"{int(shared.sum()):,} of {len(theirs):,} validation examples are training examples, too: "
            f"{where(inputs.validation, *places[0])} is {where(inputs.train, *places[1])}"
        )
        fix = "take them out of one of the two, or leave data.validation empty: data.held_out keeps copies together"
        yield Refusal("duplicates", what, fix, sample(inputs, places[0], is_validation=True))
    copies = len(ours) - len(np.unique(ours))
    if copies:
        yield f"{copies:,} of {len(ours):,} training examples are copies of others"


def overlap(case: Case) -> Iterator[Refusal | str]:
    """Validation examples of which runs of 13 words are in the training data; exact copies are told of elsewhere."""
    inputs, train, validation = case.inputs, case.train, case.validation
    if not train.read or not validation.read:
        return
    words = Words(inputs.tokenizer)
    which = chosen(inputs.validation, MOST_VALIDATION)
    read_here = sum(map(len, which))
    held = _without(inputs.validation, which, inputs.train)
    index = _index(inputs.validation, held, words)
    which = chosen(inputs.train, MOST_TRAINING)
    first_seen = _seen(inputs.train, _distinct(inputs.train, which), words, index)
    is_shared = (index.seen > 0) & (index.seen <= FORMULA) & ~index.is_formula(sum(map(len, held)))
    owners = index.owners_of(is_shared)
    pairs = np.flatnonzero(is_shared[index.runs] & np.isin(index.owners, owners))
    read = sum(map(len, which)) / sum(map(len, inputs.train))
    if read < 1 or sum(int(part.lengths.sum()) for part in inputs.validation) > MOST_VALIDATION:
        yield f"the overlap was looked for in {read:.1%} of the training examples: all are too many"
    if not len(owners):
        return
    run = int(index.runs[pairs[0]])
    place, twin = index.places[int(index.owners[pairs[0]])], first_seen[run]
    share = len(owners) / read_here
    text = words.quoted(inputs.validation[place[0]][place[1]], int(index.hashes[run]))
    what = (
        f"{share:.1%} of the validation examples share {RUN} words in a row with training examples: "
        f"{where(inputs.validation, *place)} and {where(inputs.train, *twin)} have {shown(text)}"
    )
    if share > inputs.run.gate.most_overlap:
        fix = "take overlapping texts out of one of the two, or validate on other texts"
        yield Refusal("overlap", what, fix, sample(inputs, place, is_validation=True))
    else:
        yield what


@dataclass(eq=False)
class _Index:
    """Runs of the validation data."""

    hashes: UInt64[np.ndarray, " G"]
    """Each run once, sorted."""
    runs: Int64[np.ndarray, " P"]
    """(run, example) pairs: the run."""
    owners: Int64[np.ndarray, " P"]
    """The example, counted through all that were read."""
    places: list[Place]
    """Of the examples."""
    table: np.ndarray
    """True at the last `BITS` bits of each run."""
    seen: Int64[np.ndarray, " G"]
    """Training examples with each run."""

    def owners_of(self, is_shared: np.ndarray) -> Int64[np.ndarray, " n"]:
        """Examples with shared runs that hold at least a `PART` of their words, as if the runs lay side by side."""
        count = len(self.places)
        shared = np.bincount(self.owners[is_shared[self.runs]], minlength=count)
        every = np.bincount(self.owners, minlength=count)
        return np.flatnonzero((shared > 0) & (shared + RUN - 1 >= PART * (every + RUN - 1)))

    def is_formula(self, examples: int) -> np.ndarray:
        """Runs that most of the validation examples have, (G,)."""
        count = np.bincount(self.runs, minlength=len(self.hashes))
        return (count >= 2) & (count * 2 > examples)


def _index(parts: Sequence[Encoded], which: Sequence[Indices], words: Words) -> _Index:
    found, owners, places = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], []
    for block, _ in blocks(parts, which):
        numbers: list[int] = []
        for place in block.places:
            if not places or places[-1] != place:
                places.append(place)
            numbers.append(len(places) - 1)
        hashes, texts = runs(words, block)
        found.append(hashes)
        owners.append(np.array(numbers, np.int64)[texts])
    hashes, inverse = np.unique(np.concatenate(found), return_inverse=True)
    pairs = np.unique(np.stack([inverse, np.concatenate(owners)]), axis=1)
    table = np.zeros(1 << BITS, bool)
    table[hashes & np.uint64((1 << BITS) - 1)] = True
    return _Index(hashes, pairs[0], pairs[1], places, table, np.zeros(len(hashes), np.int64))


def _seen(parts: Sequence[Encoded], which: Sequence[Indices], words: Words, index: _Index) -> dict[int, Place]:
    """Count the training examples that have each run; of each, the first."""
    first: dict[int, Place] = {}
    if not len(index.hashes):
        return first
    for block, _ in blocks(parts, which):
        hashes, texts = runs(words, block)
        near = np.flatnonzero(index.table[hashes & np.uint64((1 << BITS) - 1)])
        at = np.searchsorted(index.hashes, hashes[near]).clip(max=len(index.hashes) - 1)
        is_equal = index.hashes[at] == hashes[near]
        pairs = np.unique(np.stack([at[is_equal], texts[near[is_equal]]]), axis=1)
        index.seen += np.bincount(pairs[0], minlength=len(index.hashes))
        for run, text in zip(*(side.tolist() for side in pairs), strict=True):
            if run not in first:
                first[run] = block.places[text]
    return first


def _distinct(parts: Sequence[Encoded], which: Sequence[Indices]) -> list[Indices]:
    """The examples without the copies of others: a text that stands there often is no formula for that."""
    hashes = np.concatenate([part.hashes[indices] for part, indices in zip(parts, which, strict=True)])
    is_first = np.zeros(len(hashes), bool)
    is_first[np.unique(hashes, return_index=True)[1]] = True
    borders = np.cumsum([len(indices) for indices in which])[:-1]
    return [indices[keep] for indices, keep in zip(which, np.split(is_first, borders), strict=True)]


def _without(parts: Sequence[Encoded], which: Sequence[Indices], others: Sequence[Encoded]) -> list[Indices]:
    """The examples that are not exactly among `others`."""
    theirs = np.concatenate([part.hashes for part in others])
    return [indices[~np.isin(part.hashes[indices], theirs)] for part, indices in zip(parts, which, strict=True)]


def _place(parts: Sequence[Encoded], number: int) -> Place:
    """Part and index of an example counted through all parts."""
    for part, examples in enumerate(parts):
        if number < len(examples):
            return part, number
        number -= len(examples)
    raise AssertionError("no such example")
