"""The form that a table is brought into: the columns, their order and types of a rules file or of a dataset."""

from __future__ import annotations

from pathlib import Path

from mlops_cli.errors import InputUnusable
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given
from mlops_cli.steps.selection import Wanted


def read(ctx: Context, reference: str) -> tuple[Wanted, ...]:
    """The columns that a rules file (`.yaml`, `.yml`) or a dataset names; errors: those of reading either."""
    if Path(reference).suffix.lower() in (".yaml", ".yml"):
        return _of_rules(Path(reference))
    from mlops_cli.steps import tables

    table = tables.open_table(ctx, Given(reference), flag="--target-schema")
    schema = tables.described(tables.schema_of(table.frame, table.name))
    return tuple((name, kind, True) for name, kind in schema.items())


def _of_rules(path: Path) -> tuple[Wanted, ...]:
    """The columns of a rules file. InputUnusable for one that names none, or only a pattern of names."""
    from mlops_cli.steps.rules import read as rules_file

    rules = rules_file.load(path)
    pattern = next((rule.name for rule in rules.columns if rule.regex), None)
    if pattern is not None:
        raise InputUnusable(f"{path}: columns.{pattern} is a pattern", "--target-schema needs every column by its name")
    if not rules.columns:
        raise InputUnusable(f"{path} names no columns", "mlops validate --infer DATA writes a file that does")
    return tuple((rule.name, rule.dtype or rules.dtype, rule.required) for rule in rules.columns)
