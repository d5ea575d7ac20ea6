"""Tables in and out of steps: artefacts, bare files and streams as lazy frames, and Parquet written the one way."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
from polars.exceptions import PanicException, PolarsError
from polars.io.plugins import register_io_source
from polars.lazyframe.opt_flags import DEFAULT_QUERY_OPT_FLAGS

from mlops_cli.errors import Corrupt, InputUnusable, MlopsError, Outside, SchemaMismatch
from mlops_cli.models.kinds import IMAGES
from mlops_cli.runtime import rules
from mlops_cli.sources.batches import picked
from mlops_cli.steps import bare, parts, references
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Verdict
from mlops_cli.steps.references import Given, Stdin
from mlops_cli.steps.stream import Reader, TableStream
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.manifest import Input

# With this optimisation polars 2.1 returns the rows of a scan in another order when every output is a when/then of
# literals, even if told to keep it (docs/adr/0004-polars-order.md).
DEFAULT_QUERY_OPT_FLAGS.check_order_observe = False

FEW = 4_096
"""Rows of a batch below which they are copied."""

ROWS = 131_072
"""Rows of a row group and of a batch, unless a table is very wide or holds images."""

FAR_HINT = "leave those rows out: mlops validate with a range, or mlops ingest --sql"
_FAR = re.compile("(date value|year -?[0-9]+ is) out of range")  # what Python says of a time that polars can hold

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How Parquet holds an image: exactly this is what the `datasets` library takes for one."""


@dataclass(frozen=True)
class Table:
    """A table to read. `key` is its share of a memo key (None: cannot be keyed); `once`: it can be read one time only;
    `commands` are those of the stream it came by, whose artefacts do not exist; `rules` the `rules.json` that its rows
    have passed."""

    frame: pl.LazyFrame
    inputs: list[Input]
    key: object | None
    name: str
    once: bool = False
    commands: list[list[str]] = field(default_factory=list)
    rules: bytes | None = None


@dataclass(frozen=True)
class Written:
    """What was written: rows, and the schema as column → type."""

    rows: int
    schema: dict[str, str]


def open_table(ctx: Context, given: Given, part: str | None = None, *, flag: str = "") -> Table:
    """The table that was given: a dataset or predictions, a part (`train`, `valid`, `test`) of a split, a bare data
    file, or the data on standard input. Errors: those of `references.resolve`; Corrupt, Stopped while a stream is read.
    """
    if given.stdin:
        return _from_stdin(given.stdin)
    path = references.is_file(given)
    if path is not None:
        digest = ctx.workspace.digest(path)
        source = Input("file", f"sha256:{digest}", str(path))
        return Table(bare.scan(ctx, path), [source], [digest, path.suffix], str(path))
    kinds = ("split",) if part else ("dataset", "predictions")
    found = references.resolve(ctx, given, *kinds, flag=flag)
    return from_artefact(found.artefact, found.input, part)


def from_artefact(artefact: Artefact, source: Input, part: str | None = None) -> Table:
    """The table of an artefact, or of one part of a split."""
    paths = artefact.tables(part or "")
    if not paths:
        raise Corrupt(f"{artefact.path} has no table {part or ''}".rstrip())
    key = [artefact.id, part or ""]
    passed = artefact.read(rules.FILE) if artefact.has(rules.FILE) else None
    return Table(pl.scan_parquet(paths, glob=False), [source], key, source.ref, rules=passed)


def _from_stdin(stdin: Stdin) -> Table:
    """The table on standard input; what is not a stream is spooled by `bare`."""
    if stdin.kind != "arrow":
        return Table(bare.scan_stdin(stdin), [Input("stdin", "", "-")], None, "standard input", once=True)
    reader = Reader(stdin.file)
    lineage = reader.lineage
    try:
        inputs = msgspec.convert(lineage.get("inputs", []), list[Input])
        commands = msgspec.convert(lineage.get("commands", []), list[list[str]])
    except msgspec.ValidationError:
        inputs, commands = [], []
    passed = lineage.get("rules")
    data = passed.encode() if isinstance(passed, str) else None
    return Table(_lazy(reader), inputs or [Input("stdin", "", "-")], None, "standard input", True, commands, data)


def _lazy(reader: Reader) -> pl.LazyFrame:
    """A stream as a lazy frame that can be collected once; without metadata, which polars wants to be text."""
    try:
        empty = pl.from_arrow(reader.schema.remove_metadata().empty_table())
    except (PolarsError, PanicException, pa.ArrowException) as error:
        raise SchemaMismatch(f"the stream has a column that mlops cannot read: {error}") from None
    assert isinstance(empty, pl.DataFrame)

    def batches(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del batch_size
        left = n_rows
        for batch in reader:
            frame = pl.DataFrame(pl.from_arrow(batch.replace_schema_metadata(None)))
            if with_columns is not None:
                frame = picked(frame, with_columns)
            if predicate is not None:
                frame = frame.filter(predicate)
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            yield frame
            if left == 0:
                return

    return register_io_source(batches, schema=empty.schema, validate_schema=False)


@contextlib.contextmanager
def replayable(table: Table) -> Iterator[Table]:
    """The same table, readable many times: a stream is spooled to Parquet in `$TMPDIR`, which is deleted after."""
    if not table.once:
        yield table
        return
    folder = Path(tempfile.mkdtemp(prefix="mlops-"))
    try:
        path = folder / "spool.parquet"
        with reading(table.name):
            table.frame.sink_parquet(path, compression="lz4")
        yield replace(table, frame=pl.scan_parquet(path, glob=False), once=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what polars and Arrow raise while a table is read or written into errors of one line.

    PanicException is a BaseException: an ordinary handler would let it through.
    """
    try:
        yield
    except MlopsError:
        raise
    except pl.exceptions.ColumnNotFoundError as error:
        raise SchemaMismatch(f"{name}: no column {_first_line(error)}") from None
    except (PolarsError, PanicException, pa.ArrowException) as error:
        text = _first_line(error)
        if "os error" in text.lower():
            raise _system(text) from None
        raise InputUnusable(f"{name}: {text}") from None
    except (OverflowError, ValueError) as error:
        if not _FAR.search(str(error)):
            raise
        raise InputUnusable(f"{name}: a time is outside of the years 1 to 9999", FAR_HINT) from None
    except OSError as error:
        if error.errno is not None:
            raise
        if "deeply nested" in str(error):
            raise SchemaMismatch(
                "values are nested deeper than Parquet can hold", "leave them out: --columns"
            ) from None
        raise _system(_first_line(error)) from None


def _system(text: str) -> BaseException:
    """What polars says without an errno: the reader that hung up, or a disk that is full."""
    if "os error 32" in text:
        return BrokenPipeError(32, "Broken pipe")
    return Outside(text, "free some space, or write elsewhere with -o" if "os error 28" in text else "")


def _first_line(error: BaseException) -> str:
    """The first line of a message that may have twenty."""
    return str(error).strip().split("\n", 1)[0][:300]


def rows_per_group(schema: pl.Schema) -> int:
    """Rows of a row group, from the schema alone, so that bytes do not follow how the data was read."""
    if any(kind == pl.Binary or isinstance(kind, pl.Struct) for kind in schema.dtypes()):
        return 1_024
    widest = 2**24 // max(1, len(schema))
    return min(ROWS, 1 << (max(1, widest).bit_length() - 1))


def write_table(frame: pl.LazyFrame, directory: Path, name: str | None = None) -> Written:
    """Write a frame as Parquet in constant memory: zstd, statistics, row groups of a fixed size, order kept.

    As one file when it has a `name`, else as files of at most `parts.MOST_BYTES` (part-00000.parquet, …).
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / (name or parts.name(0))
    with reading(path.name):
        schema = frame.collect_schema()
        _write_file(frame, path, schema)
        cuts = parts.cuts(path)
        if name is None and len(cuts) > 1:
            _cut(path, cuts, schema)
    return Written(sum(cuts), described(schema))


def sparse(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Rows that a filter leaves few of, in memory of their own.

    What polars leaves of a batch may be a slice of it, which keeps the whole batch in memory until a row group is full.
    """

    def copied(batch: pl.DataFrame) -> pl.DataFrame:
        return batch[pl.int_range(batch.height, eager=True)] if 0 < batch.height < FEW else batch

    return frame.map_batches(copied, streamable=True, validate_output_schema=False, schema=frame.collect_schema())


def _cut(path: Path, cuts: Sequence[int], schema: pl.Schema) -> None:
    """Replace a file by several of so many rows each."""
    whole = path.with_suffix(".whole")
    path.rename(whole)
    rows = pl.scan_parquet(whole, glob=False)
    for number, count in enumerate(cuts):
        _write_file(rows.slice(sum(cuts[:number]), count), path.with_name(parts.name(number)), schema)
    whole.unlink()


def _write_file(frame: pl.LazyFrame, path: Path, schema: pl.Schema) -> None:
    """Write one file."""
    if any(isinstance(kind, pl.List | pl.Array) or kind in IMAGES for kind in schema.dtypes()):
        _write_arrow(frame, path, schema)
        return
    frame.sink_parquet(
        path,
        compression="zstd",
        compression_level=3,
        row_group_size=rows_per_group(schema),
        statistics=True,
        maintain_order=True,
        engine="streaming",
    )


def features(images: Sequence[str]) -> dict[str, str] | None:
    """What a schema's metadata say of columns of images, so that the `datasets` library reads them as such."""
    if not images:
        return None
    described = {"info": {"features": {name: {"_type": "Image"} for name in images}}}
    return {"huggingface": msgspec.json.encode(described).decode()}


def _write_arrow(frame: pl.LazyFrame, path: Path, schema: pl.Schema) -> None:
    """Write a frame with lists or images through pyarrow: with polars the bytes of lists would follow the chunking,
    and there is no way to say what images are.
    """
    import pyarrow.parquet as pq

    arrow = _arrow_schema(schema)
    images = [name for name, kind in schema.items() if kind in IMAGES]
    for name in images:
        arrow = arrow.set(arrow.get_field_index(name), pa.field(name, IMAGE))
    arrow = arrow.with_metadata(features(images))
    with pq.ParquetWriter(path, arrow, compression="zstd", compression_level=3) as writer:
        for batch in frame.collect_batches(chunk_size=rows_per_group(schema), maintain_order=True):
            writer.write_table(batch.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(arrow))


def _arrow_schema(schema: pl.Schema) -> pa.Schema:
    """A schema as everybody reads it: no string views."""
    return pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema


def described(schema: pl.Schema) -> dict[str, str]:
    """A schema as column → type: polars' names in lower case, `datetime[us, UTC]` for times."""
    return {name: _described(kind) for name, kind in schema.items()}


def _described(kind: pl.DataType) -> str:
    """One type in one word."""
    if isinstance(kind, pl.Datetime):
        return f"datetime[{kind.time_unit}{', ' + kind.time_zone if kind.time_zone else ''}]"
    return str(kind).lower()


def schema_of(frame: pl.LazyFrame, name: str = "the table") -> pl.Schema:
    """The schema of a frame, errors told in one line."""
    with reading(name):
        return frame.collect_schema()


def to_stream(
    frame: pl.LazyFrame,
    lineage: dict[str, Any],
    finish: Callable[[], Verdict] = Verdict,
    summary: Callable[[], dict[str, Any]] = dict,
) -> TableStream:
    """A frame as a stream of record batches, in constant memory."""
    schema = schema_of(frame)
    arrow = _arrow_schema(schema)

    def batches() -> Iterator[pa.RecordBatch]:
        with reading("the table"):
            for frame_part in frame.collect_batches(chunk_size=rows_per_group(schema), maintain_order=True):
                table = frame_part.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(arrow)
                yield from table.combine_chunks().to_batches()

    return TableStream(arrow, batches(), lineage, finish, summary)


def lineage_of(ctx: Context, *tables: Table) -> dict[str, Any]:
    """What a stream says of its origin: inputs with a manifest or a digest, and the commands it came by."""
    inputs = [source for table in tables for source in table.inputs]
    commands = [command for table in tables for command in table.commands]
    return {"format": 1, "inputs": msgspec.to_builtins(inputs), "commands": [*commands, list(ctx.command)]}
