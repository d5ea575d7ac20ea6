"""The hash of a row is for ever: golden values, the encoding byte by byte, and what must not change it."""

from __future__ import annotations

import datetime
import struct
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_cli.steps import split_hash

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def hashes(frame: pl.DataFrame, names: list[str] | None = None, seed: int = 0) -> list[int]:
    return frame.select(split_hash.hashed(frame.schema, names or frame.columns, seed)).to_series().to_list()


def row(**values: Any) -> pl.DataFrame:
    return pl.DataFrame({name: [value] for name, value in values.items()})


# Computed once. A change here moves rows of people's data between their train and test parts: never change a value.
GOLDEN: list[tuple[pl.DataFrame, int, int]] = [
    (row(a=1), 0, 4474036104098854196),
    (row(a=1), 1, 17732239238331873553),
    (row(a=1), 2**63 - 1, 12924587617806247544),
    (row(a=1.0), 0, 4474036104098854196),
    (row(a=-7, b="UA", c=None), 0, 1409792002940456471),
    (row(a=0.1), 0, 7695570693528515688),
    (row(a=float("nan"), b=float("-inf")), 0, 16958905107386570589),
    (row(a=""), 0, 15225820618105739744),
    (row(a="Zürich", b=True), 0, 5112604785187206560),
    (row(a=2**53 + 1), 0, 15674266958424682882),
    (row(a=datetime.date(2013, 11, 1)), 0, 8488899398623703715),
    (row(a=datetime.datetime(2013, 11, 1, 6, 30)), 0, 711840307622271010),
    (row(a=EPOCH), 0, 5540850934769647365),
    (row(a=Decimal("12.50")), 0, 16311681805843915197),
    (row(a=[1, None], b={"x": 1}), 0, 16576391057192903074),
    (row(a=b"\x00\xff"), 0, 18256336037719717334),
    (row(a=datetime.time(6, 30), b=datetime.timedelta(hours=1)), 0, 18183846497515366534),
]


# The encoding of docs/split.md, written again without polars-hash.


def magnitude(number: int) -> bytes:
    """LEB128: seven bits a byte, the lowest first."""
    out = b""
    while True:
        number, low = number >> 7, number & 127
        out += bytes([low | 128 if number else low])
        if not number:
            return out


def integer(number: int) -> bytes:
    return b"\x03" + bytes([number >= 0]) + magnitude(abs(number))


def value(given: Any) -> bytes:
    """One value as bytes."""
    if given is None:
        return b"\x00"
    if isinstance(given, bool):
        return b"\x02" if given else b"\x01"
    if isinstance(given, int | float):
        whole = given == given and abs(given) != float("inf") and given == int(given)
        if isinstance(given, int) or (whole and abs(given) <= 2.0**53):
            return b"\x0d\x02" + integer(int(given)) + b"\x00"
        bits = struct.pack(">d", given if given == given else float("nan"))
        return b"\x0d\x02\x00\x04" + bits
    if isinstance(given, str):
        data = given.encode()
        return b"\x05" + magnitude(len(data)) + data
    if isinstance(given, bytes):
        return b"\x06" + magnitude(len(given)) + given
    raise AssertionError(type(given))


def encoded(frame: pl.DataFrame) -> list[bytes]:
    return frame.select(split_hash.encoded(frame.schema, frame.columns)).to_series().to_list()


SCALARS = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.booleans()
    | st.text(st.characters(codec="utf-8"))
    | st.binary()
)


@given(st.dictionaries(st.sampled_from("abcdef"), SCALARS, min_size=1))
def test_the_encoding_is_what_the_documentation_says(values: dict[str, Any]) -> None:
    expected = b"\x0d" + magnitude(len(values)) + b"".join(value(values[name]) for name in sorted(values))
    assert encoded(row(**values)) == [expected]


@pytest.mark.parametrize(("frame", "seed", "expected"), GOLDEN)
def test_golden_values(frame: pl.DataFrame, seed: int, expected: int) -> None:
    assert hashes(frame, seed=seed) == [expected]


def test_the_order_and_names_of_columns_and_the_rows_beside_do_not_matter() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert hashes(frame) == hashes(frame.select("b", "a"))
    assert hashes(frame)[1] == hashes(frame.tail(1))[0]
    assert hashes(frame, ["b", "a"]) == hashes(frame, ["a", "b"])


INTEGERS = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt64]
DECIMALS = [pl.Decimal(10, 2), pl.Decimal(38, 0), pl.Decimal(38, 20)]


@pytest.mark.parametrize("dtype", [*INTEGERS, pl.Float32, pl.Float64, *DECIMALS])
def test_a_number_is_the_same_in_every_type(dtype: Any) -> None:
    numbers = [0, 1, 100, None]
    assert hashes(pl.DataFrame({"a": pl.Series(numbers, dtype=dtype)})) == hashes(pl.DataFrame({"a": numbers}))


def test_what_is_the_same_value() -> None:
    assert hashes(row(a=0.0)) == hashes(row(a=-0.0)) == hashes(row(a=0))
    quiet, other = struct.unpack(">dd", bytes.fromhex("7ff8000000000000fff8000000000001"))
    assert hashes(row(a=quiet)) == hashes(row(a=other))
    null = {
        hashes(pl.DataFrame({"a": pl.Series([None], dtype=dtype)}))[0]
        for dtype in (pl.Int8, pl.String, pl.Null, pl.Date)
    }
    assert len(null) == 1
    time = datetime.datetime(2013, 1, 1)
    units = {hashes(pl.DataFrame({"a": pl.Series([time], dtype=pl.Datetime(unit))}))[0] for unit in ("ms", "us", "ns")}
    assert len(units) == 1
    text = pl.Series(["x"])
    assert hashes(text.to_frame("a")) == hashes(text.cast(pl.Categorical).to_frame("a"))
    assert hashes(row(a=Decimal("1.50"))) == hashes(row(a=Decimal("1.5"))) == hashes(row(a=1.5))
    assert hashes(row(a=Decimal("-2.30"))) == hashes(row(a=-2.3)) and hashes(row(a=Decimal("0.00"))) == hashes(row(a=0))
    large = 2**53 + 1
    assert hashes(row(a=Decimal(large))) == hashes(row(a=large)) != hashes(row(a=Decimal(large + 1)))


def test_what_is_another_value() -> None:
    different = [
        row(a=None),
        row(a=""),
        row(a="1"),
        row(a=1),
        row(a=True),
        row(a=False),
        row(a=float("nan")),
        row(a=float("inf")),
        row(a=0.1),
        row(a=2**53 + 1),
        row(a=2**53),
        row(a=b""),
        row(a=datetime.date(1970, 1, 2)),
        row(a=datetime.time(0)),
        row(a=[1]),
        row(a=["1"]),
        row(a=None, b=None),
        row(a="ab", b="c"),
        row(a="a", b="bc"),
        row(a=None, b=1),
        row(a=1, b=None),
    ]
    assert len({hashes(frame)[0] for frame in different}) == len(different)
    assert hashes(row(a=1), seed=0) != hashes(row(a=1), seed=1)


def test_hashes_are_spread_evenly() -> None:
    values = hashes(pl.DataFrame({"a": range(20_000)}))
    below = sum(value < 2**64 // 5 for value in values) / len(values)
    assert abs(below - 0.2) < 0.01
