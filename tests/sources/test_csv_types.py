"""Which type a column of text is given."""

import polars as pl
import pytest

from mlops_cli.sources import csv_types


def decided(*values: str | None) -> pl.DataType | None:
    frame = pl.DataFrame({"x": list(values)}, schema={"x": pl.String})
    return csv_types.decide(csv_types.read(frame.select(csv_types.count(["x"])).row(0, named=True))["x"])


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["1", "-2", "+3", "0", None], pl.Int64()),
        (["9223372036854775807", "-9223372036854775808"], pl.Int64()),
        (["9223372036854775808"], pl.String()),
        (["1", "2.5"], pl.Float64()),
        (["9223372036854775808", "0.5"], pl.Float64()),
        (["NaN", "inf", "-Infinity", "1e999"], pl.Float64()),
        ([".5", "5.", "1E-3"], pl.Float64()),
        (["007", "12"], pl.String()),
        (["007.5", "12"], pl.String()),
        (["0.5", "0"], pl.Float64()),
        (["true", "FALSE", "True"], pl.Boolean()),
        (["true", "1"], pl.String()),
        (["2013-01-31", "1999-12-01"], pl.Date()),
        (["2013-02-30"], pl.String()),
        (["2013-01-31", "01.02.2013"], pl.String()),
        (["2013-01-31T10:00:00", "2013-01-31 10:00", "2013-01-31"], pl.Datetime("us")),
        (["2013-01-31T10:00:00Z", "2013-01-31T10:00:00.5+02:00"], pl.Datetime("us", "UTC")),
        (["2013-01-31T10:00:00Z", "2013-01-31T10:00:00"], pl.String()),
        (["2013-01-31T25:00:00"], pl.String()),
        (["12:30"], pl.String()),
        (["1,5"], pl.String()),
        (["0x1F"], pl.String()),
        (["1 2"], pl.String()),
        (["-"], pl.String()),
        (["١٢"], pl.String()),
    ],
)
def test_decides(values: list[str | None], wanted: pl.DataType) -> None:
    assert decided(*values) == wanted


def test_no_value_no_type() -> None:
    assert decided(None, None) is None
    assert decided() is None


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (pl.Int64(), ["1", " 2"], ["x", "1.5", "9223372036854775808"]),
        (pl.Float64(), ["1", "nan", "1e5"], ["x", "1e", ""]),
        (pl.Boolean(), ["true"], ["yes"]),
        (pl.Date(), ["2013-01-01"], ["2013-13-01", "2013-01-01T00:00"]),
        (pl.Datetime("us"), ["2013-01-01", "2013-01-01 00:00"], ["2013-01-01T00:00Z", "x"]),
        (pl.Datetime("us", "UTC"), ["2013-01-01T00:00Z"], ["2013-01-01T00:00"]),
        (pl.String(), ["x"], []),
    ],
)
def test_fits_agrees_with_what_can_be_read(kind: pl.DataType, good: list[str], bad: list[str]) -> None:
    frame = pl.DataFrame({"x": [*good, *bad]})
    assert frame.select(csv_types.fits("x", kind).fill_null(False)).to_series().head(len(good)).all()
    if bad:
        assert not frame.select(csv_types.fits("x", kind)).to_series().tail(len(bad)).any()
