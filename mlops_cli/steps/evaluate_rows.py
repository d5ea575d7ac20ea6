"""The rows of an evaluation: what was predicted, what was so, and the levels to measure by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlops_cli.errors import EmptyInput, InputUnusable, SchemaMismatch, UnknownColumn, listed
from mlops_cli.metrics.base import Label, text_of
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import Floats, Ints
from mlops_cli.runtime import predictors
from mlops_cli.runtime.signature import Signature
from mlops_cli.sources.names import exactly
from mlops_cli.steps import batches, evaluate_groups, processors, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.evaluate_groups import Grouping
from mlops_cli.steps.tables import Table

MOST_LEVELS = 50


@dataclass(frozen=True)
class Slice:
    """A column to measure by: (rows,) codes into its levels."""

    column: str
    codes: Ints
    levels: list[str]


@dataclass(frozen=True)
class Answers:
    """What was so and what was predicted for each row that has a value of the target.

    Of a regression `actual` and `predicted` are (rows,) values; else codes into `labels`, which are the model's
    classes and then those that only the data has, and `proba` is (rows, classes). `dropped` rows had no value.
    `places` are the rows' numbers in the data; of images `found` has what they are found again by: the column
    `path` and the model's context (camera, time), as far as the data has them. `groups` says which rows belong
    together; `inputs` are columns that were asked for, to look for slices in.
    """

    actual: NDArray[np.generic]
    predicted: NDArray[np.generic]
    proba: Floats | None
    labels: list[Label]
    dropped: int
    slices: list[Slice] = field(default_factory=list)
    places: Ints | None = None
    found: pl.DataFrame | None = None
    groups: Groups | None = None
    inputs: pl.DataFrame | None = None

    @property
    def levels(self) -> list[str]:
        """The labels as they are written in a gate."""
        return [text_of(label) for label in self.labels]


@dataclass
class _Parts:
    """What has been read so far, batch by batch."""

    actual: list[pl.Series] = field(default_factory=list)
    levels: list[pl.DataFrame] = field(default_factory=list)
    found: list[pl.DataFrame] = field(default_factory=list)
    inputs: list[pl.DataFrame] = field(default_factory=list)
    places: list[Ints] = field(default_factory=list)
    values: list[NDArray[np.generic]] = field(default_factory=list)
    proba: list[Floats] = field(default_factory=list)
    seen: int = 0


def collect(
    ctx: Context,
    model: Path,
    table: Table,
    signature: Signature,
    by: Sequence[str],
    grouping: Grouping | None = None,
    inputs: Sequence[str] = (),
) -> Answers:
    """Predict a table in batches and keep what metrics need, and the columns `inputs`.

    Errors: UnknownColumn without the target or a column of `by`, EmptyInput without a row that has a value of the
    target, SchemaMismatch where types do not fit, InputUnusable for an infinite target.
    """
    group = [] if grouping is None else [grouping.column]
    parts = _predict(ctx, model, table, signature, [*by, *group], inputs)
    rows = sum(map(len, parts.actual))
    if not rows:
        raise EmptyInput(
            f"{table.name}: none of the {parts.seen:,} rows has a value of {signature.target}",
            "metrics need rows whose outcome is known",
        )
    actual, labels = _truth(pl.concat(parts.actual), signature, table.name)
    levels = pl.concat(parts.levels) if by or group else pl.DataFrame()
    pictures = batches.image_column(signature) is not None
    return Answers(
        actual=actual,
        predicted=np.concatenate(parts.values).astype(np.float64 if signature.classes is None else np.int64),
        proba=np.concatenate(parts.proba) if parts.proba else None,
        labels=labels,
        dropped=parts.seen - rows,
        slices=[_slice(levels[column]) for column in by],
        places=np.concatenate(parts.places),
        found=pl.concat(parts.found) if pictures else None,
        groups=None if grouping is None else evaluate_groups.groups(levels[grouping.column], grouping, table.name),
        inputs=pl.concat(parts.inputs) if inputs else None,
    )


def predictions(answers: Answers) -> pl.LazyFrame:
    """The table `predictions.parquet`: of images what they are found again by; actual, prediction, and the
    probabilities of the model's classes; and the number of each row's group where rows belong together."""
    columns = [] if answers.found is None else list(answers.found)
    if answers.groups is not None:
        columns.append(pl.Series("group", answers.groups.codes, dtype=pl.UInt32))
    if answers.proba is None:
        columns += [pl.Series("actual", answers.actual), pl.Series("prediction", answers.predicted)]
        return pl.LazyFrame(columns)
    labels = pl.Series(answers.labels)
    columns += [
        labels.gather(pl.Series(answers.actual)).alias("actual"),
        labels.gather(pl.Series(answers.predicted)).alias("prediction"),
        pl.Series("proba", answers.proba).arr.to_list(),
    ]
    return pl.LazyFrame(columns)


def _predict(
    ctx: Context, model: Path, table: Table, signature: Signature, by: Sequence[str], inputs: Sequence[str]
) -> _Parts:
    """The batches of the table that have a value of the target, predicted."""
    schema = tables.schema_of(table.frame, table.name)
    _check_column(schema, signature.target, ", the target", table.name)
    for column in by:
        _check_column(schema, column, "", table.name)
        if schema[column].is_nested() or schema[column] == pl.Binary:
            raise SchemaMismatch(
                f"{table.name}: column {column} has no levels to measure by", "--by and --group take plain columns"
            )
    batches.check(signature, schema, table.name)
    predictor = predictors.load(model, processors.count())
    finding = _finding(signature, schema)
    context = [column.name for column in signature.context if column.name in finding]
    wanted = list(dict.fromkeys([*signature.names, signature.target, *by, *inputs, *context]))
    has_value = _has_value(signature.target, schema[signature.target])
    parts = _Parts()
    with tables.reading(table.name):
        total = None if table.once else table.frame.select(pl.len()).collect().item()
        size = batches.rows_for(signature)
        frames = table.frame.select(map(exactly, wanted)).collect_batches(chunk_size=size, maintain_order=True)
        for frame in batches.sliced(frames, size):
            kept = frame.filter(has_value)
            places = parts.seen + np.flatnonzero(frame.select(has_value).to_series().to_numpy())
            parts.seen += frame.height
            parts.places.append(places)
            parts.actual.append(kept[signature.target])
            parts.levels.append(kept.select(map(exactly, dict.fromkeys(by))))
            parts.inputs.append(kept.select(map(exactly, inputs)))
            parts.found.append(kept.select(finding.values()))
            if kept.height:
                answer = batches.predict(
                    predictor, batches.batch(kept, signature, table.name), table.name, places=places
                )
                parts.values.append(answer.values)
                parts.proba += [] if answer.proba is None else [answer.proba]
            ctx.progress("evaluate", parts.seen, total)
    return parts


def _finding(signature: Signature, schema: pl.Schema) -> dict[str, pl.Expr]:
    """What the row of an image is found again by, by name; nothing for other models."""
    image = batches.image_column(signature)
    if image is None:
        return {}
    taken = (signature.target, "actual", "prediction", "proba", "group")
    context = [column.name for column in signature.context if column.name in schema and column.name not in taken]
    found = {name: exactly(name) for name in context}
    if isinstance(schema[image], pl.Struct) and "path" not in found:
        found = {"path": exactly(image).struct.field("path").alias("path"), **found}
    return found


def _check_column(schema: pl.Schema, column: str, what: str, name: str) -> None:
    """Refuse a column that is not there."""
    if column not in schema:
        near = get_close_matches(column, schema.names(), 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {listed(schema.names())}"
        raise UnknownColumn(f"{name}: no column {column!r}{what}", hint)


def _has_value(target: str, kind: pl.DataType) -> pl.Expr:
    """Whether the outcome of a row is known."""
    there = exactly(target).is_not_null()
    return there & exactly(target).is_not_nan() if kind.is_float() else there


def _truth(actual: pl.Series, signature: Signature, name: str) -> tuple[NDArray[np.generic], list[Label]]:
    """The target as values, or as codes into the model's classes and then those only the data has."""
    what = f"{name}: the target {signature.target}"
    if signature.classes is None:
        if not actual.dtype.is_numeric():
            raise SchemaMismatch(f"{what} is {str(actual.dtype).lower()}, the model predicts numbers")
        values = actual.cast(pl.Float64).to_numpy()
        infinite = int(np.isinf(values).sum())
        if infinite:
            raise InputUnusable(f"{what} is infinite in {infinite:,} rows")
        return values, []
    actual = actual.alias("actual")  # polars fails on a series that is called ^…$
    plain = actual.cast(pl.String) if actual.dtype in (pl.Categorical, pl.Enum) else actual
    there: list[Label] = plain.unique().sort().to_list()
    strange = [value for value in there if value not in signature.classes]
    if len(strange) == len(there) or (strange and signature.task == "binary"):
        known = ", ".join(map(text_of, signature.classes[:8]))
        found = ", ".join(map(text_of, strange[:8]))
        other = {str, bool} & {type(value) for value in signature.classes} - {type(value) for value in strange}
        written = f" as {'text' if str in other else 'true and false'}" if other else ""
        raise SchemaMismatch(
            f"{what} ({str(actual.dtype).lower()}) has values that the model does not know: {found}",
            f"it knows {known}{written}",
        )
    labels: list[Label] = [*signature.classes, *strange]
    codes = [labels.index(value) for value in there]
    old = pl.Series(there, dtype=plain.dtype)
    return plain.replace_strict(old, codes, return_dtype=pl.Int64).to_numpy(), labels


def _slice(series: pl.Series) -> Slice:
    """A column as levels."""
    texts, levels = levelled(series)
    codes = texts.replace_strict(levels, list(range(len(levels))), return_dtype=pl.Int64).to_numpy()
    return Slice(series.name, codes, levels)


def levelled(series: pl.Series) -> tuple[pl.Series, list[str]]:
    """A column as text of at most 50 levels and `(other)`, and these levels, the commonest first.

    Its values, or four parts of about equally many rows where numbers or times are many.
    """
    series = series.alias("value")  # polars fails on a series that is called ^…$
    if (series.dtype.is_numeric() or series.dtype.is_temporal()) and series.n_unique() > MOST_LEVELS:
        texts = _quarters(series)
    else:
        texts = series.cast(pl.String, strict=False)
    texts = texts.fill_null("(null)")
    counts = texts.value_counts(name="rows").sort(by=["rows", texts.name], descending=[True, False])
    levels: list[str] = counts[texts.name].head(MOST_LEVELS).to_list()
    if counts.height > MOST_LEVELS:
        texts = pl.select(pl.when(texts.is_in(levels)).then(texts).otherwise(pl.lit("(other)"))).to_series()
        levels.append("(other)")
    return texts, levels


def _quarters(series: pl.Series) -> pl.Series:
    """Each value as the quarter it lies in: `<= 502`, `502 to 872`, `872 to 1389`, `> 1389`; null without a value."""
    part, names = quarters(series)
    return part.replace_strict(list(range(len(names))), names, return_dtype=pl.String).alias(series.name)


def quarters(series: pl.Series) -> tuple[pl.Series, list[str]]:
    """The number of each value's quarter, null where there is no value or it is NaN, and the quarters' names."""
    there = series.fill_nan(None) if series.dtype.is_float() else series
    ordered = there.drop_nulls().sort()
    edges = list(dict.fromkeys(ordered[len(ordered) * part // 4] for part in (1, 2, 3)))
    ends = _distinct(edges)
    names = [f"<= {ends[0]}", *(f"{low} to {high}" for low, high in pairwise(ends)), f"> {ends[-1]}"]
    part = sum((there > edge).cast(pl.UInt8) for edge in edges)
    assert isinstance(part, pl.Series)
    return part, names


def _distinct(edges: Sequence[object]) -> list[str]:
    """Different values as different texts, numbers in six digits if these tell them apart."""
    for digits in (6, 9, 12, 17):
        texts = [f"{edge:.{digits}g}" if isinstance(edge, float) else str(edge) for edge in edges]
        if len(set(texts)) == len(edges):
            break
    return texts
