"""Do tokenizer, embedding and ids fit each other?"""

from collections.abc import Iterator

from hanlin.core.errors import shown
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate.inputs import where
from hanlin.train.gate.report import Refusal
from hanlin.train.gate.survey import Case

FIX = "take the tokenizer that belongs to the model, or a model made for this tokenizer"


def vocabulary(case: Case) -> Iterator[Refusal | str]:
    """Every id has a row of the embedding, and means what the model learnt it to mean."""
    inputs, train, validation = case.inputs, case.train, case.validation
    tokenizer, rows = inputs.tokenizer, inputs.rows
    if tokenizer.vocab_size > rows:
        what = f"the tokenizer has {tokenizer.vocab_size:,} tokens, the model's embedding {rows:,} rows"
        yield Refusal("vocabulary", what, FIX, is_final=True)
        return
    special = {"bos": tokenizer.bos, "pad": tokenizer.pad, "unk": tokenizer.unk}
    special |= {f"eos[{number}]": token for number, token in enumerate(tokenizer.eos)}
    for name, token in special.items():
        if token is not None and not 0 <= token < rows:
            what = f"the tokenizer's {name} is {token:,}, outside the {rows:,} rows of the model's embedding"
            yield Refusal("vocabulary", what, FIX, is_final=True)
            return
    for found, parts in ((train, inputs.train), (validation, inputs.validation)):
        wrong = found.least if found.least < 0 else found.greatest
        if found.greatest_at is not None and not 0 <= wrong < rows:
            at = where(parts, *found.greatest_at)
            what = f"the data hold token {wrong:,}, outside the {rows:,} rows of the model's embedding, as in {at}"
            yield Refusal("vocabulary", what, "encode the data with the model's own tokenizer", is_final=True)
            return
    yield from _same(tokenizer, inputs.base)


def _same(tokenizer: Tokenizer, base: Tokenizer | None) -> Iterator[Refusal]:
    """The ids that the model was trained with still stand for the same pieces; more of them are no harm."""
    if base is None or base is tokenizer:
        return
    ours, theirs = tokenizer.backend.get_vocab(), base.backend.get_vocab()
    if ours == theirs:
        return
    changed = [(token, piece) for piece, token in theirs.items() if ours.get(piece) != token]
    if changed:
        token, piece = min(changed)
        now = shown(tokenizer.backend.id_to_token(token))
        what = (
            f"{len(changed):,} of {len(theirs):,} tokens mean something else to the model: {token} is "
            f"{shown(piece)} there and {now} in this run's tokenizer"
        )
        yield Refusal("vocabulary", what, FIX)
