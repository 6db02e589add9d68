"""All checks before step 1: a run about to begin in, what was found out. See docs/gate.md.

A check is a function of a `Case`: the inputs, and counts over the training and validation data. It yields refusals, and
notices as plain text. To add one, write it and put it into `CHECKS`.
"""

from collections.abc import Callable, Iterator, Sequence

from hanlin.core.errors import ConfigError, did_you_mean
from hanlin.data.encoded import Encoded
from hanlin.train.gate.grading import cut, ends_of, nothing, padding, unending
from hanlin.train.gate.inputs import Inputs
from hanlin.train.gate.labels import counted, labels
from hanlin.train.gate.report import Facts, Refusal, Report
from hanlin.train.gate.shares import duplicates, overlap
from hanlin.train.gate.survey import Case, Survey, survey
from hanlin.train.gate.template import template
from hanlin.train.gate.vocabulary import vocabulary

Check = Callable[[Case], Iterator[Refusal | str]]

NAMES = "empty validation vocabulary template graded turn_end padding cut labels duplicates overlap".split()
"""What `gate.allow` may name."""
USUAL_RATES = {"adamw": (1e-6, 2e-2), "muon": (1e-4, 1e-1)}
FINE_RATES = {"adamw": (1e-7, 5e-4), "muon": (1e-5, 2e-2)}
ADAPTER_RATES = {"adamw": (1e-6, 5e-3), "muon": (1e-5, 1e-1)}


def inspect(inputs: Inputs) -> Report:
    """Check a run before its first step. Nothing is changed, and nothing raised for what is found.

    Raises:
        ConfigError: `gate.allow` names what is no refusal.
    """
    for name in inputs.run.gate.allow:
        if name not in NAMES:
            raise ConfigError(f"gate.allow has '{name}', which is no refusal", did_you_mean(name, NAMES))
    ends = ends_of(inputs.tokenizer)
    shifts = inputs.run.objective.SHIFTS
    train, validation = (
        survey(parts, inputs.tokenizer, ends, inputs.most, shifts) for parts in (inputs.train, inputs.validation)
    )
    case = Case(inputs, train, validation)
    found = [one for check in CHECKS for one in check(case)]
    allowed = set(inputs.run.gate.allow)
    notices = [one for one in found if isinstance(one, str)]
    refusals = [one for one in found if isinstance(one, Refusal)]
    for one in refusals:
        if one.name in allowed:
            verdict = "cannot be overruled" if one.is_final else "overruled"
            notices.append(f'{verdict} (gate.allow has "{one.name}"): {one.what}')
    stay = tuple(one for one in refusals if one.is_final or one.name not in allowed)
    return Report(_facts(inputs, train, validation), tuple(notices), stay)


def empty(case: Case) -> Iterator[Refusal | str]:
    """There is something to learn from, and something to validate on where that decides when to stop."""
    inputs, train, validation = case.inputs, case.train, case.validation
    if not train.read:
        what = f"data.train has no examples ({', '.join(source.path for source in inputs.run.data.train)})"
        yield Refusal("empty", what, "name files with rows that this objective takes", is_final=True)
        return
    if validation.read:
        return
    if inputs.run.train.patience:
        what = f"train.patience = {inputs.run.train.patience} waits for a better validation, and there is no validation"
        yield Refusal("validation", what, "set data.validation or data.held_out, or train.patience = 0")
    else:
        yield "there is no validation data: nothing will tell learning from learning by heart"


def sampled(case: Case) -> Iterator[Refusal | str]:
    """Say where not everything was read."""
    train, validation = case.train, case.validation
    for name, found in (("train", train), ("validation", validation)):
        if found.share_read < 1:
            yield f"the gate read {found.share_read:.1%} of the examples of data.{name}: all are too many"


def rate(case: Case) -> Iterator[Refusal | str]:
    """A learning rate far from what works is worth a word, no more: it may be an experiment."""
    run = case.inputs.run
    usual = ADAPTER_RATES if run.adapter is not None else FINE_RATES if run.model.use else USUAL_RATES
    optimiser = str(getattr(run.train.optimiser, "use", ""))
    if run.train.lr is None or optimiser not in usual:
        return
    low, high = usual[optimiser]
    if not low <= run.train.lr <= high:
        kind = "an adapter" if run.adapter is not None else "an existing model" if run.model.use else "a new model"
        yield f"train.lr = {run.train.lr:g} is unusual for {kind} with {optimiser}: {low:g} to {high:g} is common"


CHECKS: Sequence[Check] = (
    empty,
    sampled,
    vocabulary,
    template,
    nothing,
    unending,
    padding,
    cut,
    labels,
    duplicates,
    overlap,
    rate,
)


def _facts(inputs: Inputs, train: Survey, validation: Survey) -> Facts:
    classes, held = counted(inputs, train), counted(inputs, validation)
    return Facts(
        examples=_examples(inputs.train),
        tokens=_tokens(inputs.train),
        longest=max((int(part.lengths.max()) for part in inputs.train if len(part)), default=0),
        validation_examples=_examples(inputs.validation),
        validation_tokens=_tokens(inputs.validation),
        graded_share=train.graded / max(train.tokens, 1) if inputs.is_graded_by_token else None,
        answers=train.answers if inputs.has_answers else 0,
        cut=(train.cut if inputs.has_answers else train.long) if inputs.is_cut else 0,
        used_share=inputs.used_share,
        classes=tuple((name, classes[number], held[number]) for number, name in enumerate(inputs.classes)),
    )


def _examples(parts: Sequence[Encoded]) -> int:
    return sum(map(len, parts))


def _tokens(parts: Sequence[Encoded]) -> int:
    return sum(int(part.lengths.sum()) for part in parts)
