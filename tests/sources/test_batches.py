"""Parquet and Arrow files, as pyarrow reads them and polars takes them over."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_cli.errors import Corrupt, EmptyInput, InputUnusable, SchemaMismatch
from mlops_cli.sources import arrow, batches, parquet
from mlops_cli.sources.base import File, Options


def frame(folder: Path, *tables: pa.Table) -> pl.LazyFrame:
    files = []
    for number, table in enumerate(tables):
        path = folder / f"x{number}.parquet"
        pq.write_table(table, path)
        files.append(File(path, path.name))
    return parquet.scan(files, Options(folder)).frame


def test_types_that_others_write(tmp_path: Path) -> None:
    table = pa.table(
        {
            "d": pa.array(["x", "y", None]).dictionary_encode(),
            "l": pa.array([[1], [], None]),
            "s": pa.array([{"a": 1}, None, {"a": 2}]),
            "f": pa.array([1.5, None, 2.5], pa.float32()),
            "t": pa.array([1, 2, None], pa.timestamp("ns", "UTC")),
            "c": pa.array([1, 2, 3], pa.decimal128(9, 2)),
            "a.b": pa.array([1, 2, 3], pa.int8()),
            "a": pa.array([4, 5, 6], pa.uint16()),
            "n": pa.nulls(3),
        }
    )
    found = frame(tmp_path, table)
    assert found.collect(engine="streaming").equals(pl.DataFrame(pl.from_arrow(table)))
    assert found.select("a").collect(engine="streaming")["a"].to_list() == [4, 5, 6]


def test_an_extension_type_is_refused_by_name(tmp_path: Path) -> None:
    table = pa.table({"u": pa.array([b"0" * 16], pa.uuid()), "x": [1]})
    with pytest.raises(SchemaMismatch, match=r"column u has the extension type arrow.uuid"):
        frame(tmp_path, table)
    unknown = pa.field("v", pa.int64(), metadata={b"ARROW:extension:name": b"secret.thing"})
    nested = pa.schema([pa.field("l", pa.list_(unknown))])
    path = tmp_path / "x.arrow"
    with pa.ipc.new_file(str(path), nested) as writer:
        writer.write_table(pa.table({"l": [[1]]}).cast(nested))
    with pytest.raises(SchemaMismatch, match=r"x.arrow: column l has the extension type secret.thing"):
        arrow.scan([File(path, path.name)], Options(tmp_path))


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="two columns are called 'x'"):
        frame(tmp_path, pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"]))


def test_no_rows_and_no_columns(tmp_path: Path) -> None:
    with pytest.raises(EmptyInput, match="no rows"):
        frame(tmp_path, pa.table({"x": pa.array([], pa.int64())}))
    with pytest.raises(InputUnusable):
        frame(tmp_path, pa.table({}))


def test_files_of_other_types(tmp_path: Path) -> None:
    columns = [pa.array([1], pa.int32()), pa.array([2.5]), pa.nulls(1)]
    wide = frame(tmp_path, *(pa.table({"x": column}) for column in columns))
    assert wide.collect(engine="streaming")["x"].to_list() == [1.0, 2.5, None]
    with pytest.raises(SchemaMismatch, match=r"x1.parquet: column x is String, in x0.parquet it is Int64"):
        frame(tmp_path, pa.table({"x": [1]}), pa.table({"x": ["a"]}))


def test_a_stream_needs_its_end_marker(tmp_path: Path) -> None:
    table, path = pa.table({"x": list(range(100))}), tmp_path / "x.arrows"
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=30)
    file = File(path, path.name)
    whole = arrow.scan([file], Options(tmp_path)).frame
    assert whole.collect(engine="streaming")["x"].to_list() == list(range(100))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(Corrupt, match="no end marker"):
        arrow.scan([file], Options(tmp_path))


def test_old_feather_is_told_from_arrow(tmp_path: Path) -> None:
    path = tmp_path / "x.feather"
    path.write_bytes(b"FEA1" + b"\0" * 40)
    with pytest.raises(Corrupt, match="Feather version 1"):
        arrow.scan([File(path, path.name)], Options(tmp_path))


def test_a_page_whose_checksum_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(pa.table({"x": [12345678] * 100}), path, **options)
    data = path.read_bytes()
    place = data.index((12345678).to_bytes(8, "little") * 50)
    path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    with pytest.raises(Corrupt, match=r"x.parquet is damaged"):
        parquet.scan([File(path, path.name)], Options(tmp_path)).frame.collect(engine="streaming")


def test_a_column_whose_name_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"naming": [1]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"naming", b"nam\xf1ng"))
    with pytest.raises(Corrupt, match=r"x.parquet is not a whole Parquet file"):
        parquet.scan([File(path, path.name)], Options(tmp_path))


def test_batches_of_bytes_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """65,536 images at once would fill the memory."""
    monkeypatch.setattr(batches, "ROWS_OF_BYTES", 3)
    image = pa.array([{"bytes": b"x", "path": "p"}] * 10)
    names = [{"image": image}, {"raw": pa.array([b"x"] * 10)}, {"n": pa.array(range(10))}]
    heights = []
    for number, columns in enumerate(names):
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
        part = parquet._part(File(tmp_path / f"{number}.parquet", "x"), pa.table(columns).schema)
        heights.append([batch.num_rows for batch in part.read(None)])
    assert heights == [[3, 3, 3, 1], [3, 3, 3, 1], [10]]
