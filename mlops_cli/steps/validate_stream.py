"""Validation of a table on its way through a pipe: rows that pass go on at once, the verdict comes at the end."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from mlops_cli.errors import EmptyInput
from mlops_cli.steps import memo, tables, validate_against, validate_report, validate_rows, validate_verdict
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Contents, Job, Output, Verdict
from mlops_cli.steps.references import Given
from mlops_cli.steps.rules import compiled
from mlops_cli.steps.rules.resolve import ERRORS
from mlops_cli.steps.rules.rule import Plan
from mlops_cli.steps.stream import TableStream
from mlops_cli.steps.tables import Table
from mlops_cli.steps.validate import LIBRARIES, REJECTED, Options
from mlops_cli.steps.validate_against import Comparison
from mlops_cli.steps.validate_asked import Asked
from mlops_cli.steps.validate_report import Found, Report
from mlops_cli.steps.validate_verdict import Terms


def stream(ctx: Context, given: Given, options: Options, reject: str | None) -> TableStream:
    """The rows that pass, batch by batch in constant memory; uniqueness and images make a spool of the table first.

    The verdict at the end decides whether the stream is whole. Rejected rows are kept as in `validate.run`.
    """
    terms = options.terms()
    asked = Asked.of(ctx, options.schema, options.against)
    table = tables.open_table(ctx, given)
    schema = tables.schema_of(table.frame, table.name)
    work = _Work(ctx, table, asked, asked.plan(schema, table.name), terms, reject)
    made = table.frame.select([value.alias(name) for name, value in work.plan.outputs.items()])
    arrow = tables.to_stream(made, {}).schema
    lineage = tables.lineage_of(ctx, table, *asked.known.values())
    if asked.rules is not None:  # they go on with the rows
        lineage["rules"] = compiled.compile(work.plan, schema, asked.digest).encode().decode()
    return TableStream(arrow, work.batches(arrow), lineage, work.finish, work.summary)


@dataclass
class _Work:
    """One validation in a pipe, and what it has counted."""

    ctx: Context
    table: Table
    asked: Asked
    plan: Plan
    terms: Terms
    reject: str | None
    numbers: list[int | None] = field(default_factory=list)  # rows, the rows that break each rule, the measures
    counted: list[int | None] = field(default_factory=list)  # the measures that need a pass of their own
    rejected: int = 0
    exempt: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)  # of warnings
    against: Comparison | None = None
    report: Report | None = None

    def batches(self, arrow: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows that pass; the others are spooled until the end, then they become an artefact."""
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlops-")))
            stack.enter_context(tables.reading(self.table.name))
            rereads = self.plan.rereads or self.asked.reference is not None
            table = stack.enter_context(tables.replayable(self.table)) if rereads else self.table
            failures = self._before(table.frame)
            rows = self.plan.looked(table.frame)
            size = tables.rows_per_group(tables.schema_of(table.frame))
            with _Spool(folder / "rejected.arrow") as spool:
                for frame in rows.collect_batches(chunk_size=size, maintain_order=True):
                    yield from self._batch(frame, failures, spool, arrow)
            self._end(failures, spool)

    def _before(self, frame: pl.LazyFrame) -> validate_rows.Failures:
        """What takes passes of its own, before the rows go by."""
        self.counted = [measure.counted(frame) if measure.counted else None for measure in self.plan.measures]
        if self.asked.reference is not None:
            self.against = validate_against.compare(frame, self.asked.reference)
        return self.plan.failures(self.plan.bad_values(frame))

    def _batch(
        self, frame: pl.DataFrame, failures: validate_rows.Failures, spool: _Spool, arrow: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        row = frame.select(validate_rows.counts(failures, self.plan.measures)).row(0)
        numbers = row[1 : 1 + len(failures)]
        self.numbers = validate_rows.folded(self.plan.measures, self.numbers, row) if self.numbers else list(row)
        self.examples = validate_rows.warned(frame.lazy(), failures, numbers, self.examples)
        passes, columns = validate_rows.accepted(self.plan, failures)
        if validate_rows.any_broken(failures, numbers):
            self.exempt += validate_rows.exempted(frame.lazy(), failures)
            refused = frame.filter(validate_rows.bad(failures))
            spool.write(
                refused.drop(ERRORS, strict=False).with_columns(validate_rows.reasons(failures)).drop(self.plan.flags)
            )
            self.rejected += refused.height
            frame = frame.filter(passes)
        good = frame.select(columns).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(arrow)
        yield from good.combine_chunks().to_batches()

    def _found(self, failures: validate_rows.Failures, refused: pl.LazyFrame | None) -> Found:
        """What all batches came to."""
        rows, *rest = self.numbers
        if not rows:
            raise EmptyInput(f"{self.table.name} has no rows", "nothing can be said about an empty table")
        counts = [number or 0 for number in rest[: len(failures)]]
        measured = [
            counted if measure.counted else rows if measure.aggregate is None else number
            for measure, counted, number in zip(self.plan.measures, self.counted, rest[len(failures) :], strict=True)
        ]
        rejected = validate_rows.examples(refused, failures, counts) if refused is not None else {}
        return Found(rows, counts, measured, self.examples | rejected, self.rejected, self.exempt, self.against)

    def _end(self, failures: validate_rows.Failures, spool: _Spool) -> None:
        """The report, and the rejected rows as an artefact, while the spool is there."""
        if not self.numbers:
            raise EmptyInput(f"{self.table.name} has no rows", "nothing can be said about an empty table")
        refused = spool.frame()
        found = self._found(failures, refused)
        rules = [rule for rule, _ in failures]
        report = validate_report.report(self.asked.digest, rules, self.plan.measures, found)
        self.report = report
        if refused is None and self.reject is None:
            return
        if refused is None:
            empty = pl.DataFrame(schema=tables.schema_of(self.table.frame)).drop(ERRORS, strict=False).lazy()
            refused = empty.with_columns(pl.lit(None, dtype=pl.List(pl.String)).alias(ERRORS))
        rejected = refused

        def build(payload: Path, rejects: Path) -> Contents:
            validate_report.write(report, payload)
            tables.write_table(rejected, rejects, REJECTED)
            params = {**self.asked.params, "rejected": True}
            inputs = [*self.table.inputs, *self.asked.inputs]
            return Contents("report", inputs, params, rejects=Contents("dataset", inputs, params))

        job = Job("validate", None, LIBRARIES, build)
        outcome = memo.perform(self.ctx, job, Output(None, self.reject))
        if self.reject is None and outcome.rejects:
            self.ctx.note(f"the rejected rows are in {memo.shown(outcome.rejects.path)}")

    def finish(self) -> Verdict:
        """The verdict on all rows."""
        assert self.report is not None  # the batches have been read to their end
        return validate_verdict.verdict(self.report, self.terms)

    def summary(self) -> dict[str, Any]:
        """The numbers for `--json`."""
        return {} if self.report is None else validate_report.numbers(self.report)


class _Spool:
    """Rejected rows on disk, in Arrow's own format, until all are known; nothing is written while there are none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows."""
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._schema = table.schema
            self._writer = pa.ipc.new_file(str(self._path), table.schema)
        self._writer.write_table(table.cast(self._schema))

    def frame(self) -> pl.LazyFrame | None:
        """All rows; None when there are none."""
        return pl.scan_ipc(self._path) if self._writer is not None else None
