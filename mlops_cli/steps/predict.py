"""Answer the rows of a table with a model, batch by batch, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import polars as pl
from polars import selectors
from polars.io.plugins import register_io_source

from mlops_cli.errors import InputUnusable, UnknownColumn, Usage, listed
from mlops_cli.runtime import predictors, rules
from mlops_cli.runtime.columns import Column
from mlops_cli.runtime.predictors import Prediction, Predictor
from mlops_cli.runtime.rules import Guard
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import batches, explain, memo, processors, reasons, references, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Contents, Job, Outcome, Output, Verdict
from mlops_cli.steps.references import Given, Resolved
from mlops_cli.steps.stream import TableStream
from mlops_cli.steps.tables import Table
from mlops_cli.store.artefact import Artefact

ALL = "*"
BROKEN = "broken"
_ANSWER = ("prediction", "proba", explain.COLUMN)
_CELLS = 1_000_000  # contributions of a batch


@dataclass(frozen=True)
class Options:
    """`proba`: the probabilities too; `keep`: columns of the table that go with the answers, `*` all of them;
    `explain`: why each row is answered so; `rules`: which of the model's rules each row breaks."""

    proba: bool = False
    keep: Sequence[str] = ()
    batch_rows: int = batches.ROWS
    explain: bool = False
    rules: bool = False


@dataclass
class _Counts:
    """Rows that went in, and how many more there are in all if that is known."""

    rows: int = 0
    total: int | None = None


@dataclass(frozen=True)
class _Work:
    """A model and a table that fit together. `frame` is the answers, computed as they are read."""

    model: Resolved
    table: Table
    frame: pl.LazyFrame
    counts: _Counts
    notes: list[str] = field(default_factory=list)


def run(ctx: Context, model: Given, data: Given, options: Options, output: Output) -> Outcome:
    """Predictions of `model` for the rows of `data`, as an artefact: the kept columns, prediction, and proba.

    Errors: SchemaMismatch for a column that is missing or of another type, UnknownColumn and Usage for `keep`,
    those of references and of loading a model.
    """
    found, table = _opened(ctx, model, data, options)
    asked = [options.proba, list(options.keep), options.explain, *([BROKEN] if options.rules else [])]
    key = None if table.key is None else [found.artefact.id, table.key, *asked]

    def build(payload: Path, rejects: Path) -> Contents:
        work = _work(ctx, found, table, options)
        written = tables.write_table(work.frame, payload)
        params = {"proba": options.proba, "keep": list(options.keep), "explain": options.explain}
        if options.rules:
            params["rules"] = True
        if table.commands:
            params["stream"] = table.commands
        inputs = [found.input, *table.inputs]
        notes = (*work.notes, _balance(work.counts.rows, written.rows))
        return Contents("predictions", inputs, params, schema=written.schema, notes=notes)

    libraries = ("lightgbm", "numpy", "onnxruntime", "pillow", "polars", "polars-runtime-32", "pyarrow")
    return memo.perform(ctx, Job("predict", key, libraries, build, measured=_measured), output)


def stream(ctx: Context, model: Given, data: Given, options: Options) -> TableStream:
    """The same as a stream of record batches, nothing kept."""
    found, table = _opened(ctx, model, data, options)
    work = _work(ctx, found, table, options)
    lineage = tables.lineage_of(ctx, table)
    lineage["inputs"] = [{"kind": i.kind, "id": i.id, "ref": i.ref} for i in (found.input, *table.inputs)]

    def finish() -> Verdict:
        return Verdict(lines=(*work.notes, _balance(work.counts.rows, work.counts.rows)))

    return tables.to_stream(work.frame, lineage, finish, lambda: {"rows": work.counts.rows})


def _opened(ctx: Context, model: Given, data: Given, options: Options) -> tuple[Resolved, Table]:
    """The model and the table that were named."""
    if options.batch_rows < 1:
        raise Usage("--batch-rows must be at least 1")
    return references.resolve(ctx, model, "model"), tables.open_table(ctx, data)


def _work(ctx: Context, found: Resolved, table: Table, options: Options) -> _Work:
    """The answers as a lazy frame, checked against the table's schema before any row is read."""
    predictor = predictors.load(found.artefact.path, processors.count())
    signature = predictor.signature
    if options.explain:
        explain.explainer(predictor)
    schema = tables.schema_of(table.frame, table.name)
    ignored = batches.check(signature, schema, table.name)
    keep = _kept(options.keep, schema, table.name)
    if options.explain and reasons.COLUMN in keep:
        raise Usage(f"--keep {reasons.COLUMN}: with --explain the reasons are called that", "keep other columns")
    if options.rules and BROKEN in keep:
        raise Usage(f"--keep {BROKEN}: with --rules the rules that a row breaks are called that", "keep other columns")
    ignored = [name for name in ignored if name not in keep]
    notes = []
    if ignored and batches.image_column(signature) is None:  # a table of images always has more
        notes.append(f"columns that the model does not take are ignored: {listed(ignored, 8)}")
    counts = _Counts()
    if not table.once and (table.inputs[0].kind != "file" or table.name.endswith(".parquet")):
        with tables.reading(table.name):  # of Parquet a matter of the footer
            counts.total = table.frame.select(pl.len()).collect().item()
    columns = list(dict.fromkeys([*signature.names, *keep]))
    source = _Answers(
        ctx, predictor, table.frame.select(selectors.by_name(*columns)), table.name, keep, options, counts,
        _guard(found, signature) if options.rules else None,
    )  # fmt: skip
    return _Work(found, table, source.lazy({name: schema[name] for name in keep}), counts, notes)


@dataclass(frozen=True)
class _Answers:
    """Frames of answers, made while they are read."""

    ctx: Context
    predictor: Predictor
    frame: pl.LazyFrame
    name: str
    keep: Sequence[str]
    options: Options
    counts: _Counts
    guard: Guard | None

    def lazy(self, kept: dict[str, pl.DataType]) -> pl.LazyFrame:
        """The answers as a lazy frame that can be collected once."""
        signature = self.predictor.signature
        schema: dict[str, Any] = {**kept, "prediction": _dtype(signature)}
        if self.options.proba and signature.classes is not None:
            schema["proba"] = pl.List(pl.Float64)
        if self.options.explain:
            schema |= explain.schema(signature)
        if self.guard is not None:
            schema[BROKEN] = pl.List(pl.String)
        return register_io_source(self._frames, schema=schema, validate_schema=False)

    def _frames(
        self, with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        """polars asks for columns, rows and a filter of its own accord; nobody asks for them here."""
        del predicate, n_rows, batch_size
        signature = self.predictor.signature
        with tables.reading(self.name):
            for part, batch in batches.batches(self.frame, signature, self.name, self._rows()):
                answer = batches.predict(self.predictor, batch, self.name, self.counts.rows)
                answers = self._columns(answer)
                if self.options.explain:
                    answers += explain.columns(explain.explainer(self.predictor).explain(batch), part)
                if self.guard is not None:
                    read_off = {name: Column(values) for name, values in (answer.measured or {}).items()}
                    answers.append(pl.Series(BROKEN, self.guard.batch({**batch, **read_off}), pl.List(pl.String)))
                made = pl.DataFrame([*(part[name] for name in self.keep), *answers])
                self.counts.rows += part.height
                self.ctx.progress("predict", self.counts.rows, self.counts.total)
                yield made if with_columns is None else made.select(selectors.by_name(*with_columns))

    def _rows(self) -> int:
        """Rows of a batch: explanations of many columns fill the memory as those of many rows do."""
        if not self.options.explain:
            return self.options.batch_rows
        return min(self.options.batch_rows, max(1_024, _CELLS // (len(self.predictor.signature.columns) + 1)))

    def _columns(self, answer: Prediction) -> list[pl.Series]:
        """The answers as columns."""
        signature = self.predictor.signature
        if signature.classes is None:
            return [pl.Series("prediction", answer.values)]
        labels = pl.Series("prediction", signature.classes, dtype=_dtype(signature))
        columns = [labels.gather(pl.Series(answer.values))]
        if self.options.proba and answer.proba is not None:
            columns.append(pl.Series("proba", answer.proba).arr.to_list())
        return columns


def _guard(found: Resolved, signature: Signature) -> Guard:
    """The model's rules; InputUnusable when it has none."""
    guard = rules.guard(found.artefact.path, signature, "warn")
    if guard is None:
        raise InputUnusable(f"--rules: {found.ref} has no rules", "train on what mlops validate --schema has passed")
    return guard


def _dtype(signature: Signature) -> Any:
    """The type of the column `prediction`: that of the classes, or a float."""
    first = 0.0 if signature.classes is None else signature.classes[0]
    return {bool: pl.Boolean, int: pl.Int64, str: pl.String}.get(type(first), pl.Float64)


def _kept(keep: Sequence[str], schema: pl.Schema, name: str) -> list[str]:
    """The columns to keep, in the order asked."""
    wanted = schema.names() if list(keep) == [ALL] else list(dict.fromkeys(keep))
    for column in wanted:
        if column not in schema:
            near = get_close_matches(column, schema.names(), 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {listed(schema.names())}"
            raise UnknownColumn(f"{name}: no column {column!r} to keep", hint)
        if column in _ANSWER:
            raise Usage(f"--keep {column}: the answer is called that", "keep other columns")
    return wanted


def _balance(rows: int, answered: int) -> str:
    """Rows in and rows out."""
    return f"{rows:,} rows in = {answered:,} rows out"


def _measured(made: Artefact) -> dict[str, Any]:
    """What `--json` tells of predictions."""
    rows = sum(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item() for path in made.tables())
    return {"rows": rows}
