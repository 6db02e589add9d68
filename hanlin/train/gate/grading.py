"""Is anything graded, does it end, is it cut, is it padding?"""

from collections.abc import Iterator, Sequence

import numpy as np

from hanlin.core.errors import HanlinError, shown
from hanlin.data.encoded import Encoded
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate.inputs import Inputs, where
from hanlin.train.gate.report import Refusal
from hanlin.train.gate.survey import Case, Place
from hanlin.train.look import Piece, look, look_at_row, only_read

PROBE = "HANLIN"


def turn_end(tokenizer: Tokenizer) -> int | None:
    """The special token that the chat template writes after what the assistant says; None if it writes none."""
    if tokenizer.template is None:
        return None
    try:
        turns = [{"role": "user", "content": PROBE[::-1]}, {"role": "assistant", "content": PROBE}]
        text = tokenizer.template.render(turns, add_generation_prompt=False)
        rest = tokenizer.encode(text.rpartition(PROBE)[2], add_special=False)
    except HanlinError:
        return None
    return next((token for token in rest if tokenizer.is_special(token)), None)


def ends_of(tokenizer: Tokenizer) -> frozenset[int]:
    """Every token that may end a turn or a text."""
    written = turn_end(tokenizer)
    return frozenset(tokenizer.eos) | ({written} if written is not None else set())


def sample(inputs: Inputs, place: Place | None, *, is_validation: bool = False) -> tuple[Piece, ...]:
    """An example to show beside a refusal."""
    parts = inputs.validation if is_validation else inputs.train
    if place is None:
        return ()
    pieces = look(parts[place[0]][place[1]], inputs.tokenizer, inputs.most)
    return tuple(pieces if inputs.is_graded_by_token else only_read(pieces))


def nothing(case: Case) -> Iterator[Refusal | str]:
    """Training on nothing: the loss is 0 or no number at all, and no one says so."""
    inputs, train, validation = case.inputs, case.train, case.validation
    if not inputs.is_graded_by_token or not train.read:
        return
    for found, parts, name in ((train, inputs.train, "train"), (validation, inputs.validation, "validation")):
        if not found.blank:
            continue
        assert found.first_blank is not None
        at = where(parts, *found.first_blank)
        shown_as = sample(inputs, found.first_blank, is_validation=parts is inputs.validation)
        if not found.graded:
            what = f"no token of data.{name} is graded in {found.read:,} examples, such as {at}"
            fix = "look at it with --show; the objective or the chat template does not fit these data"
            yield Refusal("graded", what, fix, shown_as, is_final=True)
        elif found.blank > found.read * inputs.run.gate.most_cut:
            what = f"{found.blank:,} of {found.read:,} examples of data.{name} have no graded token, such as {at}"
            yield Refusal("graded", what, "remove them, or answer them: there is nothing to learn from", shown_as)
        else:
            yield f"{found.blank:,} of {found.read:,} examples of data.{name} have no graded token, such as {at}"
    if inputs.batches and not any(bool((batch.weights != 0).any()) for batch in inputs.batches):
        what = f"no position counts in the first {len(inputs.batches)} batches"
        row = tuple(look_at_row(inputs.batches[0], 0, inputs.tokenizer, inputs.run.objective.SHIFTS))
        yield Refusal("graded", what, "raise data.context: what is graded lies beyond it", row)


def unending(case: Case) -> Iterator[Refusal | str]:
    """An end that is never graded is never learnt: the loss looks healthy and the model never stops."""
    inputs, train = case.inputs, case.train
    if not inputs.has_answers or not train.graded:
        return
    tokenizer = inputs.tokenizer
    written = turn_end(tokenizer) if inputs.is_chat else None
    must = {written} if written is not None and train.ends.get(written) else set(tokenizer.eos)
    names = " or ".join(_name(tokenizer, end) for end in sorted(must)) or "an end-of-turn token"
    if any(train.graded_ends.get(end) for end in must):
        yield from _stops(tokenizer, written)
        return
    masked = [end for end in must if train.masked_ends.get(end)]
    place = train.first_masked[masked[0]] if masked else _first(inputs.train)
    at, shown_as = where(inputs.train, *place), sample(inputs, place)
    if tokenizer.pad in masked:
        what = f"the end of turn {names} is never graded: it is the padding token, too, and was masked as such ({at})"
        fix = "mask padding by its place and not by its id, or give the tokenizer a padding token of its own"
        yield Refusal("padding", what, fix, shown_as)
    else:
        what = f"the end of turn {names} is never graded in {train.answers:,} answers: the model would not stop ({at})"
        fix = "grade the token that ends an answer; a template or format that leaves it out does not fit this model"
        yield Refusal("turn_end", what, fix, shown_as)


def _stops(tokenizer: Tokenizer, written: int | None) -> Iterator[str]:
    if written is not None and written not in tokenizer.eos:
        name = _name(tokenizer, written)
        yield f"the template ends a turn with {name}, at which this model's answers do not stop: it is none of its eos"


def padding(case: Case) -> Iterator[Refusal | str]:
    """Padding is never graded, and an end of turn that shares its token is."""
    inputs, train = case.inputs, case.train
    tokenizer = inputs.tokenizer
    if tokenizer.pad is None:
        return
    name = _name(tokenizer, tokenizer.pad)
    masked = train.masked_ends.get(tokenizer.pad, 0)
    if inputs.has_answers and masked and train.graded_ends.get(tokenizer.pad):
        at = where(inputs.train, *train.first_masked[tokenizer.pad])
        what = f"{masked:,} answers end in an ungraded {name}, which is the padding token, too, as in {at}"
        fix = "mask padding by its place and not by its id, or give the tokenizer a padding token of its own"
        yield Refusal("padding", what, fix, sample(inputs, train.first_masked[tokenizer.pad]))
    if not inputs.is_graded_by_token:
        return
    fix = "mask what only fills a row: give the padding no weight"
    if train.first_padding is not None:
        at = where(inputs.train, *train.first_padding)
        what = f"{train.graded_padding:,} tokens of padding, {name}, are graded, as in {at}"
        yield Refusal("padding", what, fix, sample(inputs, train.first_padding))
    for number, batch in enumerate(inputs.batches, 1):
        tokens, targets = batch.tokens.numpy(), batch.targets.numpy()
        wrong = (tokens == tokenizer.pad) & (targets == tokenizer.pad) & (batch.weights.numpy() != 0)
        wrong[:, 1:] &= tokens[:, :-1] == tokenizer.pad
        wrong[:, :1] = False
        if wrong.any():
            row = int(np.flatnonzero(wrong.any(1))[0])
            what = f"{int(wrong.sum()):,} positions of padding, {name}, are graded in batch {number}, row {row + 1}"
            pieces = look_at_row(batch, row, tokenizer, inputs.run.objective.SHIFTS)
            yield Refusal("padding", what, fix, tuple(pieces))
            return


def cut(case: Case) -> Iterator[Refusal | str]:
    """What the context cuts off is not learnt: neither the rest of the answer nor that it ends."""
    inputs, train = case.inputs, case.train
    if not inputs.is_cut:
        return
    context, limit = inputs.run.data.context, inputs.run.gate.most_cut
    number, of, what = (
        (train.cut, train.answers, "answers") if inputs.has_answers else (train.long, train.read, "texts")
    )
    place = train.first_cut if inputs.has_answers else train.first_long
    if not number or place is None:
        return
    longest = max(int(part.lengths.max()) for part in inputs.train if len(part))
    lost = f", {train.lost:,} of them leave nothing" if inputs.has_answers and train.lost else ""
    told = f"data.context = {context} cuts {number:,} of {of:,} {what} ({number / of:.1%}){lost}, as in "
    told += where(inputs.train, *place)
    if number / of > limit and not inputs.is_labelled:
        fix = f"raise data.context (the longest example has {longest:,} tokens), split long examples, or gate.most_cut"
        yield Refusal("cut", told, fix, sample(inputs, place))
    else:
        yield told


def _name(tokenizer: Tokenizer, token: int) -> str:
    return f"{shown(tokenizer.backend.id_to_token(token))} ({token})"


def _first(parts: Sequence[Encoded]) -> Place:
    """The first example there is."""
    return next((number, 0) for number, part in enumerate(parts) if len(part))
