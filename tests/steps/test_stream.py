"""Tables in a pipe: what is written is read, and nothing but a whole stream is ever taken for one."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_cli.errors import Corrupt, MlopsError, Stopped
from mlops_cli.steps import stream, tables
from mlops_cli.steps.memo import Verdict
from mlops_cli.steps.references import Given, Stdin
from mlops_cli.steps.stream import Reader, TableStream

MARKER = b"\xff\xff\xff\xff\0\0\0\0"
INPUT = {"kind": "file", "id": "sha256:0", "ref": "é.csv"}
LINEAGE = {"format": 1, "inputs": [INPUT], "commands": [["mlops", "ingest"]]}

MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
TYPES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "small": (pa.uint8(), st.integers(0, 255)),
    "float": (pa.float64(), st.floats()),
    "single": (pa.float32(), st.floats(width=32)),
    "string": (pa.large_string(), st.text(st.characters(exclude_categories=("Cs",)), max_size=8)),
    "bool": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.dates(date(1, 1, 2), date(9999, 12, 30))),
    "naive": (pa.timestamp("us"), MOMENTS),
    "zone": (pa.timestamp("us", "UTC"), MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC))),
    "bytes": (pa.large_binary(), st.binary(max_size=6)),
    "list": (pa.large_list(pa.int64()), st.lists(st.integers(0, 9), max_size=3)),
    "null": (pa.null(), st.none()),
}


@st.composite
def schemas_and_batches(draw: st.DrawFn) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """A schema of any types, and batches of it, empty ones too."""
    kinds = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=5))
    schema = pa.schema([(f"c{number} é", TYPES[kind][0]) for number, kind in enumerate(kinds)])
    batches = []
    for rows in draw(st.lists(st.integers(0, 5), max_size=4)):
        values = [draw(st.lists(st.none() | TYPES[kind][1], min_size=rows, max_size=rows)) for kind in kinds]
        arrays = [pa.array(column, type=field.type) for column, field in zip(values, schema, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return schema, batches


def written(schema: pa.Schema, batches: list[pa.RecordBatch], verdict: Verdict | None = None) -> bytes:
    """A stream as it goes out; without its end marker when the verdict is no pass."""
    file = io.BytesIO()
    stream.write(TableStream(schema, iter(batches), LINEAGE, lambda: verdict or Verdict()), file)
    return file.getvalue()


def read(data: bytes) -> tuple[pa.Schema, list[pa.RecordBatch], dict[str, Any]]:
    """All of a stream."""
    reader = Reader(io.BytesIO(data))
    return reader.schema, list(reader), reader.lineage


def plain(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    """Rows that can be compared: NaN is NaN."""
    rows = [row for batch in batches for row in batch.to_pylist()]
    return [{key: "NaN" if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()} for row in rows]


TINY = pa.schema([("a", pa.int64()), ("b", pa.large_string())])


def tiny(count: int = 3) -> list[pa.RecordBatch]:
    """Batches of two rows."""
    return [pa.RecordBatch.from_pydict({"a": [n, None], "b": ["x" * n, "é"]}, schema=TINY) for n in range(count)]


@given(schemas_and_batches())
@settings(max_examples=60)
def test_what_is_written_is_read(made: tuple[pa.Schema, list[pa.RecordBatch]]) -> None:
    schema, batches = made
    data = written(schema, batches)
    assert data.endswith(MARKER) and data.startswith(b"\xff\xff\xff\xff")
    found, back, lineage = read(data)
    assert found.remove_metadata() == schema
    assert lineage == LINEAGE
    assert plain(back) == plain(batches)
    assert [batch.num_rows for batch in back] == [batch.num_rows for batch in batches]
    with pa.ipc.open_stream(data) as theirs:
        assert plain(list(theirs)) == plain(batches), "everyone else reads the same"


@given(schemas_and_batches(), st.randoms(use_true_random=False))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_a_stream_cut_anywhere_is_never_taken_for_a_whole_one(made: Any, chance: Any) -> None:
    data = written(*made)
    for cut in {chance.randrange(len(data)) for _ in range(40)}:
        with pytest.raises(Corrupt):
            read(data[:cut])


def test_a_stream_cut_at_every_byte_is_corrupt() -> None:
    data = written(TINY, tiny())
    for cut in range(len(data)):
        with pytest.raises(Corrupt) as caught:
            read(data[:cut])
        assert caught.value.exit == 4, cut
    assert len(read(data)[1]) == 3


AFTER_SCHEMA = len(written(TINY, [])) - len(MARKER)
BOUNDARIES = [AFTER_SCHEMA, *(len(written(TINY, tiny(count), Verdict(1))) for count in (1, 2, 3))]


@pytest.mark.parametrize("position", BOUNDARIES)
@pytest.mark.parametrize("code", [1, 3, 4, 5, 8, 70, 130, 143])
def test_a_stop_line_at_a_boundary_ends_with_its_code(position: int, code: int) -> None:
    data = written(TINY, tiny())[:position] + b"mlops:stop:%d:validate\n" % code
    with pytest.raises(Stopped) as caught:
        list(Reader(io.BytesIO(data)))
    assert (caught.value.exit, caught.value.command) == (code, "validate")


@pytest.mark.parametrize("position", BOUNDARIES)
def test_everyone_else_fails_on_a_stopped_stream(position: int) -> None:
    data = written(TINY, tiny())[:position] + b"mlops:stop:1:validate\n"
    with pytest.raises((pa.ArrowException, OSError)):
        pa.ipc.open_stream(data).read_all()
    with pytest.raises((pl.exceptions.PolarsError, OSError)):
        pl.read_ipc_stream(io.BytesIO(data))


@pytest.mark.parametrize("line", [b"mlops:stop:x:validate\n", b"mlops", b"mlop", b"mlops:start:1:x\n", b"mlops:stop:1"])
def test_what_looks_like_a_stop_and_is_none_is_corrupt(line: bytes) -> None:
    with pytest.raises(Corrupt):
        read(written(TINY, tiny(), Verdict(1)) + line)


def test_a_verdict_that_is_no_pass_leaves_the_marker_out() -> None:
    assert not written(TINY, tiny(), Verdict(1)).endswith(MARKER)
    assert written(TINY, tiny()) == written(TINY, tiny(), Verdict(3)) + MARKER


def test_a_failure_on_the_way_leaves_the_marker_out() -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from tiny(1)
        raise Corrupt("disk")

    file = io.BytesIO()
    with pytest.raises(Corrupt, match="disk"):
        stream.write(TableStream(TINY, batches(), LINEAGE), file)
    assert not file.getvalue().endswith(MARKER)
    assert not file.closed


def test_a_pipe_that_gives_a_byte_at_a_time_is_read() -> None:
    class Slow(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            part = self.data.read(1)
            buffer[: len(part)] = part
            return len(part)

    reader = Reader(io.BufferedReader(Slow(written(TINY, tiny())), 1))
    assert len(list(reader)) == 3


def test_a_damaged_stream_is_told_in_one_line() -> None:
    data = written(TINY, tiny())
    for position in range(0, len(data) - len(MARKER), 2):
        changed = data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]
        try:
            read(changed)
        except MlopsError as error:
            assert "\n" not in error.message


@pytest.mark.parametrize(
    "lineage", [b"\xff", b"[]", b"{", b'{"inputs": 3}', b'{"commands": 1}', b'{"commands": [1]}', b""]
)
def test_lineage_of_others_is_no_reason_to_fail(lineage: bytes) -> None:
    schema = TINY.with_metadata({b"mlops": lineage})
    file = io.BytesIO()
    with pa.ipc.new_stream(file, schema) as writer:
        writer.write_batch(tiny(2)[1].replace_schema_metadata(schema.metadata))
    table = tables.open_table(None, Given(stdin=Stdin("arrow", io.BytesIO(file.getvalue()))))  # type: ignore[arg-type]
    assert table.frame.collect().height == 2
    assert [source.ref for source in table.inputs] == ["-"] and table.commands == []


def frame_of(data: bytes) -> pl.LazyFrame:
    """A stream on standard input as steps get it."""
    return tables.open_table(None, Given(stdin=Stdin("arrow", io.BytesIO(data)))).frame  # type: ignore[arg-type]


@given(schemas_and_batches())
@settings(max_examples=40)
def test_a_stream_becomes_the_table_it_was(made: tuple[pa.Schema, list[pa.RecordBatch]]) -> None:
    schema, batches = made
    expected = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(batches, schema)))
    data = written(schema, batches)
    assert frame_of(data).collect().equals(expected, null_equal=True)
    assert frame_of(data).select(pl.len()).collect().item() == expected.height
    assert frame_of(data).select(pl.last()).collect().equals(expected.select(pl.last()))
    assert frame_of(data).head(3).collect().equals(expected.head(3))
    again = tables.to_stream(frame_of(data), LINEAGE)
    file = io.BytesIO()
    stream.write(again, file)
    assert pl.DataFrame(pl.from_arrow(pa.Table.from_batches(read(file.getvalue())[1], again.schema))).equals(expected)


@pytest.mark.parametrize("end", [b"", b"mlops:stop:3:validate\n", MARKER[:5], b"rubbish!"])
def test_a_table_that_is_not_whole_fails_where_it_is_used(end: bytes) -> None:
    frame = frame_of(written(TINY, tiny(), Verdict(1)) + end)
    with pytest.raises(MlopsError) as caught, tables.reading("standard input"):
        frame.select(pl.col("a").sum()).collect(engine="streaming")
    assert type(caught.value) is (Stopped if b"stop" in end else Corrupt)
    assert caught.value.exit == (3 if b"stop" in end else 4)
