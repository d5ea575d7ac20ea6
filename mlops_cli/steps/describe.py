"""A page about a table: what is in it, how it lies, what it says of a target, and what deserves a second look."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from mlops_cli.errors import EmptyInput, UnknownColumn, Usage, listed
from mlops_cli.reports import charts
from mlops_cli.steps import describe_page, describe_suspects, describe_table, describe_target, report, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given


def run(ctx: Context, given: Given, path: str, target: str | None) -> None:
    """Write the page about what was given to `path`, in one step.

    Errors: those of reading; Usage for data on standard input, which validation needs too; UnknownColumn for a target
    that there is not; EmptyInput without a row; MissingExtra without vl-convert; Outside when it cannot be written.
    """
    charts.engine()
    if given.stdin is not None:
        raise Usage(
            "--profile reads the data before it is validated, and standard input can be read once", "mlops ingest -"
        )
    table = tables.open_table(ctx, given)
    with tables.reading(table.name):
        schema = table.frame.collect_schema()
        if target is not None and target not in schema:
            near = get_close_matches(target, schema.names(), 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {listed(schema.names())}"
            raise UnknownColumn(f"--target {target}: {table.name} has no such column", hint)
        ctx.progress("profile", 0, None)
        found = describe_table.describe(table.frame, table.name)
        if not found.rows:
            raise EmptyInput(f"{table.name} has no rows", "there is nothing to describe")
        if target is not None and found.column(target).kind in ("image", "other"):
            raise Usage(f"--target {target}: a column of type {schema[target]} cannot be predicted")
        linked = describe_target.associations(found, target) if target else []
        doubts = describe_suspects.suspects(found, linked)
        pictures = describe_page.pictures(table.frame, schema)
        report.write(Path(path), describe_page.render(found, target, linked, doubts, pictures))
    ctx.note(f"the profile is {path}: {len(doubts)} columns to look at" if doubts else f"the profile is {path}")
