"""Check a table against rules: rows that pass become a dataset, the others another one that says why."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from mlops_cli.errors import EmptyInput, Integrity
from mlops_cli.steps import memo, references, tables, validate_report, validate_rows
from mlops_cli.steps.context import Context
from mlops_cli.steps.limit import Limit
from mlops_cli.steps.memo import Contents, Job, Outcome, Output, Verdict
from mlops_cli.steps.references import Given
from mlops_cli.steps.rules import compiled, resolve, rule
from mlops_cli.steps.rules.form import Rules
from mlops_cli.steps.rules.rule import Plan
from mlops_cli.steps.tables import Table
from mlops_cli.steps.validate_report import Report
from mlops_cli.store.artefact import Artefact

LIBRARIES = ("polars", "pandera", "pillow", "pyarrow")
REJECTED = "part-00000.parquet"


@dataclass(frozen=True)
class Options:
    """`schema` is the rules file; `max_bad` a share below 1, a number of rows from 1 on, or a percentage."""

    schema: str | None = None
    max_bad: str = "0"


def run(ctx: Context, given: Given, options: Options, output: Output) -> Outcome:
    """Check what was given; the verdict is a finding (1) when more rows are rejected than `max_bad` allows.

    Errors: InputUnusable for bad rules, UnknownColumn, SchemaMismatch, EmptyInput without a row, Integrity when the
    dataset was damaged on disk; Usage for a limit that is none.
    """
    limit = Limit.parse(options.max_bad)
    rules = load_rules(options.schema)
    source = _Source.of(ctx, given)
    key = None if source.table.key is None else {"table": source.table.key, "rules": rules.digest() if rules else None}

    def build(payload: Path, rejects: Path) -> Contents:
        ctx.progress("validate", 0, None)
        with tables.reading(source.table.name):
            return _build(source, rules, payload, rejects)

    def judge(made: Artefact) -> Verdict:
        source.check_copied(made)
        return validate_report.verdict(made.json(validate_report.FILE, Report), limit)

    outcome = memo.perform(ctx, Job("validate", key, LIBRARIES, build, judge, validate_report.measured), output)
    if outcome.measured.get("rejected") and outcome.rejects and output.reject is None:
        told = f"the rejected rows are in {memo.shown(outcome.rejects.path)}"
        return msgspec.structs.replace(outcome, notes=(told,))
    return outcome


def infer(ctx: Context, given: Given) -> str:
    """YAML rules that the table which was given passes; EmptyInput when it has no rows."""
    from mlops_cli.steps.rules import infer as inference

    with tables.replayable(tables.open_table(ctx, given)) as table, tables.reading(table.name):
        return inference.infer(table.frame, table.name)


def load_rules(path: str | None) -> Rules | None:
    """The rules in a file; None without a path."""
    if path is None:
        return None
    from mlops_cli.steps.rules import read  # PyYAML is an extra, not needed to check a structure

    return read.load(Path(path))


def plan_for(rules: Rules | None, schema: Mapping[str, pl.DataType], name: str) -> Plan:
    """What is to be checked and done in a table of these columns, called `name` in messages."""
    if rules is None:
        return rule.empty([column for column in schema if column != resolve.ERRORS])
    from mlops_cli.steps.rules import plan  # imports pandera, half a second that a cached result does not pay

    return plan.build(resolve.resolve(rules, schema, name))


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


def _build(source: _Source, rules: Rules | None, payload: Path, rejects: Path) -> Contents:
    """The rows that pass into `payload` with the report, the others into `rejects`."""
    paths = source.files(payload.parent / "scratch")
    frame = pl.scan_parquet(paths, glob=False)
    schema = frame.collect_schema()
    plan = plan_for(rules, schema, source.table.name)
    failures = plan.failures(plan.twice(frame))
    frame = plan.looked(frame)
    rows, *numbers = frame.select(validate_rows.counts(failures)).collect(engine="streaming").row(0)
    if rows == 0:
        raise EmptyInput(f"{source.table.name} has no rows", "nothing can be said about an empty table")
    broken = validate_rows.any_broken(failures, numbers)
    if broken or plan.rewrites or list(plan.outputs) != list(schema):
        passes, columns = validate_rows.accepted(plan, failures)
        tables.write_table(frame.filter(passes).select(columns), payload)
    else:
        source.keep(paths, payload)
    contents = _contents(source.table, rules, pl.scan_parquet(sorted(payload.iterdir()), glob=False))
    refused = frame.filter(validate_rows.bad(failures)) if broken else frame.clear()
    marked = refused.drop(resolve.ERRORS, strict=False).with_columns(validate_rows.reasons(failures)).drop(plan.flags)
    rejected = tables.write_table(marked, rejects, REJECTED).rows
    written = pl.scan_parquet(rejects / REJECTED, glob=False)
    examples = validate_rows.examples(written, failures, numbers) if broken else {}
    digest = rules.digest() if rules else None
    found = validate_report.report(digest, [item for item, _ in failures], rows, rejected, numbers, examples)
    validate_report.write(found, payload)
    if rules is not None:
        compiled.write(compiled.compile(plan, schema, digest), payload)
    return contents


def _contents(table: Table, rules: Rules | None, made: pl.LazyFrame) -> Contents:
    """What the manifests say of the rows that pass and of those that do not."""
    params = {"rules": rules.digest() if rules else None, **({"stream": table.commands} if table.commands else {})}
    described = tables.described(made.collect_schema())
    rejects = Contents("dataset", table.inputs, params | {"rejected": True})
    return Contents("dataset", table.inputs, params, schema=described, rejects=rejects)
