"""The digest of rows: the same for the same values in the same order, however they came in batches."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_cli.sources.row_digest import RowDigest

VALUES = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": VALUES,
            "f": st.one_of(st.none(), st.floats(allow_nan=False)),
            "t": st.one_of(st.none(), st.text(max_size=5)),
            "b": st.one_of(st.none(), st.booleans()),
            "l": st.one_of(st.none(), st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=3)),
            "s": st.one_of(st.none(), st.fixed_dictionaries({"x": VALUES})),
            "d": st.one_of(st.none(), st.decimals(-999, 999, places=2)),
            "w": st.one_of(st.none(), st.datetimes(datetime.datetime(1, 1, 2))),
        }
    ),
    max_size=12,
)
SLOWLY = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("f", pa.float64()),
        ("t", pa.string()),
        ("b", pa.bool_()),
        ("l", pa.list_(pa.string())),
        ("s", pa.struct([("x", pa.int64())])),
        ("d", pa.decimal128(10, 2)),
        ("w", pa.timestamp("us")),
    ]
)


def digest(table: pa.Table, size: int) -> str:
    found = RowDigest(table.schema)
    whole = table.combine_chunks()
    for start in range(0, len(table), size):  # slices, whose buffers are those of the whole
        for batch in whole.slice(start, size).to_batches():
            found.add(batch)
    return found.told()


@SLOWLY
@given(ROWS, st.integers(1, 5))
def test_batches_do_not_matter(rows: list[dict[str, object]], size: int) -> None:
    table = pa.Table.from_pylist(rows, SCHEMA)
    assert digest(table, size) == digest(table, 100)


@SLOWLY
@given(ROWS, ROWS)
def test_other_values_have_another_digest(one: list[dict[str, object]], other: list[dict[str, object]]) -> None:
    first, second = pa.Table.from_pylist(one, SCHEMA), pa.Table.from_pylist(other, SCHEMA)
    assert (digest(first, 3) == digest(second, 3)) == (str(one) == str(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array(["ab", "c"]), pa.array(["a", "bc"])),
        (pa.array([None, 0]), pa.array([0, None])),
        (pa.array(["", None]), pa.array([None, ""])),
        (pa.array([[1], [2, 3]]), pa.array([[1, 2], [3]])),
        (pa.array([[], None], pa.list_(pa.int64())), pa.array([None, []], pa.list_(pa.int64()))),
        (pa.array([1, 2], pa.int32()), pa.array([1, 2], pa.int64())),
        (pa.array([Decimal("1.0"), Decimal("2.0")]), pa.array([Decimal("2.0"), Decimal("1.0")])),
    ],
)
def test_what_would_be_the_same_bytes_is_told_apart(one: pa.Array, other: pa.Array) -> None:
    assert digest(pa.table({"x": one}), 9) != digest(pa.table({"x": other}), 9)


def test_the_value_is_the_documented_one() -> None:
    table = pa.table({"n": pa.array([1, None, 3]), "t": ["a", None, "ü"]})
    assert digest(table, 2) == GOLDEN


GOLDEN = "sha256:4aa87a283c1ddf2d51f1406f48857d6fd221bad8964b4c881e178b8d7302b80f"
