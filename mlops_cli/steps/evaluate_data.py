"""The rows that a model is measured on, and what the splits behind model and rows say about trusting the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlops_cli.errors import EmptyInput, Missing, MlopsError, Usage
from mlops_cli.metrics.base import Certified, text_of
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import memo, references, tables, train_leaks
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given
from mlops_cli.steps.split_certificate import FILE, Certificate
from mlops_cli.steps.tables import Table
from mlops_cli.store import artefact
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.manifest import Input

ANOTHER = "the rows are of a split that is not the model's own, and it may have learnt from them"


@dataclass(frozen=True)
class Rows:
    """A table to measure on; `split` and `part` where it is one of a split."""

    table: Table
    split: Artefact | None = None
    part: str = ""


def signature(model: Artefact, positive: str | None = None) -> Signature:
    """What a model takes and answers; its metrics are about the class `positive` when one is named (Usage)."""
    found = signatures.decode(model.read(signatures.FILE))
    if positive is None:
        return found
    if found.task != "binary" or not found.classes:
        raise Usage(f"--positive needs two classes, but predicting {found.target} is a {found.task}", "leave it out")
    label = next((label for label in found.classes if text_of(label) == positive), None)
    if label is None:
        raise Usage(f"--positive {positive}: no such class", f"there is {', '.join(map(text_of, found.classes))}")
    return msgspec.structs.replace(found, positive=label)


def find(ctx: Context, model: Artefact, given: Given | None) -> Rows:
    """The rows that were named (of a split its test part), else the test part of the model's split.

    Errors: Missing without a split, EmptyInput for one without a test part, those of opening a table.
    """
    if given is None:
        split = references.ancestor(ctx, model, ("split",), "--data")
        if split is None:
            raise Missing("the model was not trained on a split, so there is no test part", "name the rows with --data")
        return _test_part(split, memo.shown(split.path))
    path = references.is_file(given)
    if given.stdin is None and path is None:
        named = references.resolve(ctx, given)
        if named.artefact.kind == "split":
            return _test_part(named.artefact, named.ref)
    table = tables.open_table(ctx, given, flag="--data")
    return Rows(table) if path is None else Rows(table, *_around(path))


def certified(ctx: Context, model: Artefact, rows: Rows) -> Certified | None:
    """What the certificates say of metrics of this model on these rows; None where no split gives a doubt or a word.

    The certificate of a split is about its own model and its own test part. What leaks into a model or its split goes
    with it to whatever rows it is measured on; rows that come from no split add nothing to that.
    """
    split, part = rows.split, rows.part
    its_own = split is not None and any(source.id == split.id for source in model.manifest.inputs)
    own = split if its_own else _own(ctx, model)
    if split is None and own is not None:
        part = _copied(own, rows.table)
        split = own if part else None
    splits = {one.id: one for one in (own, split) if one is not None}
    found = [read(one) for one in splits.values()]
    told = [line for one in found for line in one.leaks]
    kept = train_leaks.read(model)
    told += kept.lines
    if kept.clean is False and own is None:
        told.append("the split of the model, which is out of reach, leaks")
    if split is None and _made_from(ctx, model, rows.table):
        told.append("the rows are those that the model was made from")
    elif split is not None and (own is None or split.id != own.id):
        told.append(ANOTHER)
    elif split is not None and part != "test":
        told.append(f"the rows are of the {part} part, which training has seen")
    if any(one.clean is False for one in found) or kept.clean is False or kept.lines:
        return Certified(False, told)
    if told or any(one.doubt for one in found):
        return Certified(None, told)
    return None if split is None else Certified(True)


def read(split: Artefact) -> Certified:
    """What the certificate of a split says."""
    if not split.has(FILE):
        return Certified(None)
    found = split.json(FILE, Certificate)
    return Certified(found.clean, found.leaking)


def tell(ctx: Context, rows: Rows, found: Certified | None) -> None:
    """Say what makes the metrics look better than they are."""
    if rows.split is not None and rows.part == "test" and rows.split.has(FILE):
        for line in rows.split.json(FILE, Certificate).kindred:
            ctx.note(f"the metrics may flatter: {line}")
    if found is not None and found.doubt:
        ctx.note(f"the metrics may flatter, and mlops promote will not take them for a pass: {found.doubt}")


def _test_part(split: Artefact, ref: str) -> Rows:
    """The test part of a split."""
    if not split.tables("test"):
        raise EmptyInput(f"{ref} has no test part", "mlops split --test 0.2 makes one, or name other rows with --data")
    return Rows(tables.from_artefact(split, Input(split.kind, split.id, ref), "test"), split, "test")


def _around(path: Path) -> tuple[Artefact | None, str]:
    """The split that a file lies in, and the part that it is of."""
    folder = path.resolve().parent
    try:
        split = artefact.open_artefact(folder.parent, ("split",))
    except MlopsError:
        return None, ""
    return (split, folder.name) if split.has(f"{folder.name}/{path.resolve().name}") else (None, "")


def _own(ctx: Context, model: Artefact) -> Artefact | None:
    """The split of a model; None where there is none, or it is out of reach."""
    try:
        return references.ancestor(ctx, model, ("split",))
    except Missing:
        return None


def _copied(split: Artefact, table: Table) -> str:
    """The part of a split that has this very file, wherever it lies now."""
    ids = {source.id for source in table.inputs}
    return next((Path(e.path).parent.name for e in split.manifest.files if f"sha256:{e.sha256}" in ids), "")


def _made_from(ctx: Context, model: Artefact, table: Table) -> bool:
    """Whether a table is an ancestor of the model; a stream may have any of its rows, and is taken for none."""
    above = [source["id"] for parent in references.lineage(ctx, model) for source in parent["inputs"]]
    ids = {*above, *(source.id for source in model.manifest.inputs)} - {""}
    return not table.commands and any(source.id in ids for source in table.inputs)
