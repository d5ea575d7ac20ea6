"""Which columns of a table a model made elsewhere takes, and of an image what size and layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import polars as pl
from polars import selectors

from mlops_cli.errors import InputUnusable, SchemaMismatch, UnknownColumn, Usage, listed
from mlops_cli.models.base import Settings
from mlops_cli.models.kinds import type_of
from mlops_cli.runtime.images import Preparation
from mlops_cli.runtime.onnx_session import Value
from mlops_cli.runtime.onnx_table import Input
from mlops_cli.runtime.signature import InputColumn, Type

_IMAGE = pl.Struct({"bytes": pl.Binary, "path": pl.String})
_CONTEXT: dict[str, Type] = {"camera": "string", "time": "datetime"}
_FLOATS = ("float", "double")
_TAKES: dict[str, tuple[Type, ...]] = {
    "float": ("float", "int", "bool"),
    "double": ("float", "int", "bool"),
    "int64": ("int", "bool"),
    "int32": ("int", "bool"),
    "bool": ("bool",),
    "string": ("string",),
}
Layout = Literal["nchw", "nhwc"]


def image_column(schema: pl.Schema) -> str | None:
    """The column of images, None in a table without."""
    return next((name for name, kind in schema.items() if kind == pl.Binary or kind == _IMAGE), None)


def context(schema: pl.Schema) -> list[InputColumn]:
    """The columns that come with an image and that the model does not see."""
    return [InputColumn(name, kind) for name, kind in _CONTEXT.items() if schema.get(name) not in (None, pl.Null)]


def inputs(
    values: list[Value], frame: pl.LazyFrame, target: str, settings: Settings
) -> tuple[list[InputColumn], list[Input]]:
    """The columns that the model takes and the inputs made of them.

    One input of shape [n, k] takes the columns of the table in order, or those of `columns`; several take the columns
    of their names, or those of `columns` in order. Errors: InputUnusable, UnknownColumn, SchemaMismatch.
    """
    schema = frame.collect_schema()
    named: list[str] | None = settings.get("columns")
    for name in named or ():
        if name not in schema or name == target:
            raise UnknownColumn(f"--set columns: no column {name!r}", f"the table has {listed(schema.names(), 20)}")
    if len(values) == 1 and len(values[0].shape) == 2 and values[0].name not in schema:
        found = named or [name for name in schema.names() if name != target]
        _check_width(values[0], found)
        made = [Input(values[0].name, found, _type(values[0]))]
    else:
        found = named or [value.name for value in values]
        if len(found) != len(values):
            raise InputUnusable(f"the model has {len(values)} inputs, --set columns names {len(found)}")
        pairs = zip(values, found, strict=True)
        made = [Input(value.name, [name], _type(value), flat=len(value.shape) == 1) for value, name in pairs]
    return list(_columns(made, frame, schema)), made


def _check_width(value: Value, columns: list[str]) -> None:
    """InputUnusable when an input is made for another number of columns."""
    width = value.shape[1]
    if isinstance(width, int) and width != len(columns):
        text = f"the model takes {width} columns, there are {len(columns)}: {listed(columns, 20)}"
        raise InputUnusable(text, "say which, in the model's order: --set columns=a,b,c")


def _type(value: Value) -> Literal["float", "double", "int64", "int32", "string", "bool"]:
    """The type of an input's values; InputUnusable for one that no column is."""
    for name in ("float", "double", "int64", "int32", "string", "bool"):
        if value.type == f"tensor({name})" and len(value.shape) <= 2:
            return name
    raise InputUnusable(f"input {value.name} takes {value.type} of shape {value.shape}, which no column is")


def _columns(made: list[Input], frame: pl.LazyFrame, schema: pl.Schema) -> Iterator[InputColumn]:
    """The columns of inputs; one that may be null was null in the data, and is NaN to the model."""
    for given in made:
        for name in given.columns:
            if name not in schema:
                hint = "say which columns, in the order of the inputs: --set columns=a,b,c"
                raise SchemaMismatch(f"the model takes {name}, which the table has not", hint)
            kind = type_of(schema[name])
            if kind not in _TAKES[given.type]:
                raise SchemaMismatch(
                    f"column {name} is {kind or str(schema[name]).lower()}, the model takes {given.type}",
                    "say which columns it takes: --set columns=a,b,c",
                )
            missing = frame.select(selectors.by_name(name).null_count()).collect(engine="streaming").item()
            yield InputColumn(name, kind, nullable=bool(missing) and given.type in _FLOATS)


def preparation(values: list[Value], output: str, settings: Settings) -> Preparation:
    """How images become the input of a model: what the file says, and the settings where it leaves it open."""
    if len(values) != 1 or values[0].type != "tensor(float)" or len(values[0].shape) != 4:
        raise InputUnusable("the model takes no images: one input of float [n, c, h, w] or [n, h, w, c]")
    shape = values[0].shape
    layout: Layout = settings.get("layout") or ("nhwc" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "nchw")
    own = (shape[1], shape[2], shape[3]) if layout == "nchw" else (shape[3], shape[1], shape[2])
    channels: Literal[1, 3] = 1 if own[0] == 1 else 3
    if own[0] not in (channels, None) and not isinstance(own[0], str):
        raise InputUnusable(f"the model takes {own[0]} channels; images have 1 or 3", "is it --set layout=nhwc?")
    told = settings.get("size", own[1:])
    height, width = (size if isinstance(size, int) else 0 for size in told)
    if not height or not width:
        raise Usage("the model leaves open the size of its images", "say it: --set size=224, or HEIGHTxWIDTH")
    if any(isinstance(size, int) and size != said for size, said in zip(own[1:], (height, width), strict=True)):
        raise Usage(f"--set size={height}x{width}: the model takes {own[1]}x{own[2]}")
    mean, std = (_by_channel(name, settings.get(name, [usual]), channels) for name, usual in (("mean", 0), ("std", 1)))
    resize, embedding = settings.get("resize", "stretch"), settings.get("embedding")
    return Preparation(height, width, channels, mean, std, resize, values[0].name, output, embedding, layout=layout)


def _by_channel(name: str, numbers: list[float], channels: int) -> list[float]:
    """One number for each channel."""
    if len(numbers) not in (1, channels):
        raise Usage(f"--set {name}: {len(numbers)} numbers for {channels} channels")
    return [float(number) for number in (numbers * channels if len(numbers) == 1 else numbers)]
