"""A run folder in, a Hugging Face folder or a GGUF file out, and the certificate that it is the model that was trained.

The artefact is written beside its place and read again from there; only what agrees with the trained model is moved
to where it was asked for. In order: trained → merged (an adapter) → exported (nothing rounded) → quantised.
"""

import copy
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch

import hanlin
from hanlin.core import lineage
from hanlin.core.errors import DataError, HanlinError, RefusedError, StoreError
from hanlin.core.run import replacing
from hanlin.model.adapters.merge import merged
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load
from hanlin.model.save import FILE_TYPES, Kind, save_folder, save_gguf
from hanlin.train.export import card
from hanlin.train.export.certificate import (
    BY_KIND,
    EXACT,
    MERGED,
    Certificate,
    Limits,
    Stage,
    compare,
    compare_templates,
    compare_tokenizers,
)
from hanlin.train.export.probe import Probe, classics, probe
from hanlin.train.export.trained import HEAD, Trained, open_trained
from hanlin.train.export.validation import validation_rows
from hanlin.train.report.read import Reading, read

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
BESIDE = (HEAD, "classes.json")
"""What a model with a head for classes has beside its weights."""


def export(
    run: Path,
    to: Path,
    kind: Kind | None = None,
    *,
    which: str = "",
    texts: Sequence[str] = (),
    is_forced: bool = False,
) -> Iterator[str | Certificate]:
    """Export a run's model; yields sentences about what is done, the certificate last.

    Args:
        run: the run folder.
        to: a folder, or a file that ends in .gguf.
        kind: of the weights; None for what they are stored as, and F16 in a GGUF file.
        which: "latest", "best" or a checkpoint's name; empty for the final model.
        texts: to compare on; none: the run's validation data, and where it has none, classics of our own.
        is_forced: keep what fails its limits, and replace a file that stands at `to`.

    Raises:
        StoreError: the run has no model, or `to` cannot be written.
        WeightsError: the run's weights are damaged, or do not fit the kind.
        DataError: a file of the run is damaged.
        RefusedError: the kind does not fit the place, something else stands there, or the parity fails.
        CapacityError: the disk is full.
    """
    to = to if to.name and to.name != ".." else to.resolve()
    is_file = to.suffix.lower() == ".gguf"
    _check_kind(to, kind, is_file=is_file)
    _check_place(to, is_file=is_file, is_forced=is_forced)
    reading = read(run)
    trained = open_trained(run, which)
    if is_file and (trained.folder / HEAD).is_file():
        raise RefusedError("a GGUF file has no place for the head this model was trained with", "export to a folder")
    wanted: Kind = kind or ("F16" if is_file else trained.kind)
    yield f"{trained.folder}: {trained.checkpoint.family}, stored as {trained.kind}"
    on, note = _probe(trained, texts)
    if note:
        yield note
    stages: list[Stage] = []
    whole = trained.checkpoint
    if trained.is_adapter:
        whole = _merged(trained.checkpoint)
        yield f"the adapter is merged into {trained.base}"
        stages.append(compare(trained.checkpoint.network, whole.network, on, "merged", "F32", MERGED))
    with _staging(to) as staging:
        if wanted not in DTYPES:  # a mistake of the conversion is told from the loss of rounding
            stages.append(_written(whole, trained, on, staging, trained.kind, "exported", is_file=is_file))
            _removed(staging)
        yield f"writing {to} as {wanted}"
        name = "exported" if wanted in DTYPES else "quantised"
        stages.append(_written(whole, trained, on, staging, wanted, name, is_file=is_file))
        del whole
        for extra in BESIDE if not is_file else ():
            if (trained.folder / extra).is_file():
                shutil.copyfile(trained.folder / extra, staging / extra)
        yield "comparing what was written with what was trained"
        made = _certificate(trained, staging, to, wanted, on, stages)
        yield from _settled(made, trained, reading, staging, to, is_forced=is_forced)
    yield made


def beside(to: Path, name: str) -> Path:
    """Where a paper about an export lies: in the folder, or as FILE.gguf.NAME."""
    return to.with_name(f"{to.name}.{name}") if to.suffix.lower() == ".gguf" else to / name


def _settled(
    made: Certificate, trained: Trained, reading: Reading, staging: Path, to: Path, *, is_forced: bool
) -> Iterator[str]:
    """Move the artefact to its place and write its papers; if it failed, only the certificate."""
    if not made.is_passed and not is_forced:
        place = to.with_name(f"{to.name}.certificate.json")
        _write_certificate(made, place)
        first, *others = made.failures
        more = f" (and {len(others)} more)" if others else ""
        what = f"{to} would not be the model that was trained: {first}{more}"
        raise RefusedError(what, f"see {place}; take a more precise --kind, or keep it all the same with --force")
    _placed(staging, to)
    _write_certificate(made, beside(to, "certificate.json"))
    facts = {"run": made.run, "kind": made.kind, "is_passed": made.is_passed, "hanlin": made.hanlin}
    origin = lineage.record(to, "export", {"adapter" if trained.is_adapter else "model": trained.folder}, facts)
    with replacing(beside(to, "README.md")) as sink:
        sink.write(card.written(made, trained, reading, origin).encode())
    for failure in made.failures:
        yield f"kept by force, though {failure}"


def _written(
    whole: Checkpoint, trained: Trained, on: Probe, staging: Path, kind: Kind, name: str, *, is_file: bool
) -> Stage:
    """Write one form of the model, read it again, compare it with the trained one."""
    if is_file:
        save_gguf(replace(whole, path=Path(trained.run.name)), staging, kind)
    else:
        save_folder(_as(whole, DTYPES[kind]), staging)
    back = load(staging)
    return compare(trained.checkpoint.network, back.network, on, name, kind, _limits(trained, kind))


def _limits(trained: Trained, kind: Kind) -> Limits:
    if kind in ("F32", trained.kind) and not trained.is_adapter:
        return EXACT
    if kind == "F32":
        return MERGED
    names = (name for name, _ in trained.checkpoint.network.named_parameters())
    has_experts = any("router" in name for name in names)
    # Where two experts are nearly tied, rounding sends a token to the other one: a few logits jump, the mean holds.
    return replace(BY_KIND[kind], logit=None) if has_experts else BY_KIND[kind]


def _certificate(
    trained: Trained, staging: Path, to: Path, kind: str, on: Probe, stages: Sequence[Stage]
) -> Certificate:
    back = load(staging).tokenizer
    assert back is not None, "the trained model has a tokenizer, and it is written"
    return Certificate(
        artefact=to.name,
        kind=kind,
        hash=lineage.content_hash(staging),
        run=str(trained.settings.get("name", trained.run.name)),
        trained_hash=trained.lineage.hash,
        probe=on.name,
        probe_hash=on.hash,
        tokens=on.tokens,
        papers=(compare_templates(trained.tokenizer, back), compare_tokenizers(trained.tokenizer, back)),
        stages=tuple(stages),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        hanlin=hanlin.__version__,
    )


def _probe(trained: Trained, texts: Sequence[str]) -> tuple[Probe, str]:
    """What the models are compared on, and what is to be said about it.

    Raises:
        DataError: texts were given, and none of them has two tokens.
    """
    context = trained.checkpoint.config.context
    if texts:
        found = probe("texts", [trained.tokenizer.encode(text) for text in texts], context)
        if not found.rows:
            raise DataError("the text to compare on has less than two tokens", "give a longer one")
        return found, ""
    note = ""
    try:
        held = probe("validation", validation_rows(trained), context)
    except HanlinError as error:  # data moves and goes; the model is still there
        held, note = None, f"compared on classics, for the validation data cannot be read: {error.what}"
    return (held, "") if held and held.rows else (classics(trained.tokenizer, context), note)


def _merged(checkpoint: Checkpoint) -> Checkpoint:
    """A copy with the adapter folded into its weights."""
    network = copy.deepcopy(checkpoint.network)
    merged(network)
    return replace(checkpoint, network=network, quantised=None)


def _as(checkpoint: Checkpoint, dtype: torch.dtype) -> Checkpoint:
    """The checkpoint with weights of that precision; the same one if they are."""
    if checkpoint.network.embed.weight.dtype == dtype:
        return checkpoint
    return replace(checkpoint, network=copy.deepcopy(checkpoint.network).to(dtype))


def _check_kind(to: Path, kind: str | None, *, is_file: bool) -> None:
    known = list(FILE_TYPES if is_file else DTYPES)
    if kind is not None and kind not in known:
        hint = "; end --to in .gguf for the others" if kind in FILE_TYPES else ""
        raise RefusedError(f"{kind} is no kind of weights for {to}", f"one of {', '.join(known)}{hint}")


def _check_place(to: Path, *, is_file: bool, is_forced: bool) -> None:
    """Nothing of the user's is ever replaced: a folder gives way only if all in it is from an export of ours."""
    if to.is_file() and not is_file:
        raise StoreError(f"{to} is a file", "name a folder, or a file that ends in .gguf")
    if to.is_dir() and is_file:
        raise StoreError(f"{to} is a folder", "name a file in it, such as model.gguf")
    if to.is_file() and not is_forced and not beside(to, "certificate.json").is_file():
        raise RefusedError(f"{to} is there, and no export of Hanlin", "name another file, or replace it with --force")
    if to.is_dir() and any(to.iterdir()):
        made = lineage.read(to)
        foreign = sorted({path.name for path in to.iterdir()} - {*lineage.ABOUT, *_tops(made)})
        if made is None or made.kind != "export" or foreign:
            what = f"{to} holds {foreign[0] if foreign else 'something'}, which is of no export"
            raise RefusedError(what, "name a new or an empty folder")


def _tops(made: lineage.Lineage | None) -> set[str]:
    """What lies at the top of the folder that a lineage is of."""
    return {name.partition("/")[0] for name in made.files} if made else set()


@contextmanager
def _staging(to: Path) -> Iterator[Path]:
    """A place beside `to`, gone at the end."""
    path = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        to.absolute().parent.mkdir(parents=True, exist_ok=True)
        _removed(path)
        yield path
    except OSError as error:
        raise StoreError(f"{to} cannot be written: {error.strerror}", "choose another place for it") from None
    finally:
        _removed(path)


def _removed(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.unlink(missing_ok=True)


def _placed(staging: Path, to: Path) -> None:
    """Move the artefact to its place; an earlier export gives way whole."""
    if to.is_dir():
        old = to.with_name(f".{to.name}.old.{os.getpid()}")
        to.rename(old)
        staging.rename(to)
        _removed(old)
    else:
        staging.replace(to)


def _write_certificate(made: Certificate, path: Path) -> None:
    with replacing(path) as sink:
        sink.write(json.dumps(made.as_object(), indent=2, ensure_ascii=False).encode() + b"\n")
