"""Check a table against rules: rows that pass become a dataset, the others another one that says why."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from mlops_cli.errors import EmptyInput, Integrity
from mlops_cli.steps import (
    memo,
    parts,
    references,
    tables,
    validate_against,
    validate_report,
    validate_rows,
    validate_verdict,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Contents, Job, Outcome, Output, Verdict
from mlops_cli.steps.references import Given
from mlops_cli.steps.rules import compiled, resolve
from mlops_cli.steps.rules.rule import Plan
from mlops_cli.steps.tables import Table
from mlops_cli.steps.validate_asked import Asked
from mlops_cli.steps.validate_report import Found, Report
from mlops_cli.steps.validate_verdict import Terms
from mlops_cli.store.artefact import Artefact

LIBRARIES = ("polars", "pandera", "pillow", "pyarrow")
REJECTED = parts.name(0)


@dataclass(frozen=True)
class Options:
    """`schema` is the rules file; `max_bad` a share below 1, a number of rows from 1 on, or a percentage; `against` a
    table or a model to compare with, `max_drift` how far from it a column may be; `now` the time, for freshness."""

    schema: str | None = None
    max_bad: str = "0"
    against: str | None = None
    max_drift: float | None = None
    now: str | None = None

    def terms(self) -> Terms:
        """What findings are held against; Usage for what is none."""
        return Terms.of(self.max_bad, self.now, self.max_drift)


def run(ctx: Context, given: Given, options: Options, output: Output) -> Outcome:
    """Check what was given; the verdict is a finding (1) when more rows are rejected than `max_bad` allows, or when the
    table as a whole is not as the rules, or what it is compared with, want it.

    Errors: InputUnusable for bad rules, UnknownColumn, SchemaMismatch, EmptyInput without a row, Integrity when the
    dataset was damaged on disk; Usage for a limit that is none.
    """
    terms = options.terms()
    asked = Asked.of(ctx, options.schema, options.against)
    source = _Source.of(ctx, given)
    key = None if source.table.key is None else {"table": source.table.key, **asked.key}

    def build(payload: Path, rejects: Path) -> Contents:
        ctx.progress("validate", 0, None)
        with tables.reading(source.table.name):
            return _build(source, asked, payload, rejects)

    def judge(made: Artefact) -> Verdict:
        source.check_copied(made)
        return validate_verdict.verdict(made.json(validate_report.FILE, Report), terms)

    outcome = memo.perform(ctx, Job("validate", key, LIBRARIES, build, judge, validate_report.measured), output)
    if outcome.measured.get("rejected") and outcome.rejects and output.reject is None:
        told = f"the rejected rows are in {memo.shown(outcome.rejects.path)}"
        return msgspec.structs.replace(outcome, notes=(told,))
    return outcome


@dataclass
class _Source:
    """What is validated: a table, and the artefact it is, if it is one: its files are copied when all rows pass."""

    table: Table
    artefact: Artefact | None = None
    copied: bool = False

    @classmethod
    def of(cls, ctx: Context, given: Given) -> _Source:
        if given.stdin or references.is_file(given):
            return cls(tables.open_table(ctx, given))
        found = references.resolve(ctx, given, "dataset", "predictions")
        return cls(tables.from_artefact(found.artefact, found.input), found.artefact)

    def files(self, scratch: Path) -> list[Path]:
        """The table as Parquet files that can be read many times; written to `scratch` when it is no artefact."""
        if self.artefact:
            return self.artefact.tables()
        tables.write_table(self.table.frame, scratch)
        return sorted(scratch.iterdir())

    def keep(self, paths: list[Path], payload: Path) -> None:
        """The files as they are, as the payload: cheaper than to write the same rows again."""
        for path in paths:
            if self.artefact:
                shutil.copyfile(path, payload / path.name)
                self.copied = True
            else:
                path.rename(payload / path.name)

    def check_copied(self, made: Artefact) -> None:
        """Compare the digests of copied files, which sealing has just taken, with those they should have."""
        if not (self.copied and self.artefact):
            return
        for path in self.artefact.tables():
            if made.entry(path.name).sha256 != self.artefact.entry(path.name).sha256:
                raise Integrity(f"{path}: the digest does not match", "restore it, or make it again")


def _build(source: _Source, asked: Asked, payload: Path, rejects: Path) -> Contents:
    """The rows that pass into `payload` with the report, the others into `rejects`."""
    paths = source.files(payload.parent / "scratch")
    table = pl.scan_parquet(paths, glob=False)
    schema = table.collect_schema()
    plan = asked.plan(schema, source.table.name)
    failures = plan.failures(plan.bad_values(table))
    frame = plan.looked(table)
    counted = frame.select(validate_rows.counts(failures, plan.measures)).collect(engine="streaming").row(0)
    rows, numbers, found = counted[0], counted[1 : 1 + len(failures)], counted[1 + len(failures) :]
    if rows == 0:
        raise EmptyInput(f"{source.table.name} has no rows", "nothing can be said about an empty table")
    broken = validate_rows.any_broken(failures, numbers)
    told = Found(
        rows,
        counts=numbers,
        measured=validate_rows.measured(plan.measures, table, found, rows),
        examples=validate_rows.warned(frame, failures, numbers, {}),
        exempt=validate_rows.exempted(frame, failures) if broken else 0,
        against=validate_against.compare(table, asked.reference) if asked.reference else None,
    )
    if broken or plan.rewrites or list(plan.outputs) != list(schema):
        passes, columns = validate_rows.accepted(plan, failures)
        tables.write_table(tables.sparse(frame.filter(passes)).select(columns), payload)
    else:
        source.keep(paths, payload)
    contents = _contents(source.table, asked, pl.scan_parquet(sorted(payload.iterdir()), glob=False))
    told.rejected = _rejected(plan, frame, failures, broken, rejects)
    if broken:
        written = pl.scan_parquet(rejects / REJECTED, glob=False)
        told.examples |= validate_rows.examples(written, failures, numbers)
    report = validate_report.report(asked.digest, [item for item, _ in failures], plan.measures, told)
    validate_report.write(report, payload)
    if asked.rules is not None:
        compiled.write(compiled.compile(plan, schema, asked.digest), payload)
    return contents


def _rejected(plan: Plan, frame: pl.LazyFrame, failures: validate_rows.Failures, broken: bool, rejects: Path) -> int:
    """Write the rows that are rejected, each with its reasons; how many they are."""
    refused = tables.sparse(frame.filter(validate_rows.bad(failures))) if broken else frame.clear()
    marked = refused.drop(resolve.ERRORS, strict=False).with_columns(validate_rows.reasons(failures)).drop(plan.flags)
    return tables.write_table(marked, rejects, REJECTED).rows


def _contents(table: Table, asked: Asked, made: pl.LazyFrame) -> Contents:
    """What the manifests say of the rows that pass and of those that do not."""
    params = asked.params | ({"stream": table.commands} if table.commands else {})
    described = tables.described(made.collect_schema())
    inputs = [*table.inputs, *asked.inputs]
    rejects = Contents("dataset", inputs, params | {"rejected": True})
    return Contents("dataset", inputs, params, schema=described, rejects=rejects)
