"""Queries of `mlops ingest --sql`: their answers have one order."""

import polars as pl
import pytest

from mlops_cli.errors import UnknownColumn, Usage
from mlops_cli.steps import ingest_query
from mlops_cli.steps.ingest_query import _end_of_order
from mlops_cli.steps.selection import TABLE, Selection

FRAME = pl.DataFrame({"k": [2, 1, 2, 1], "v w": ["b", "d", "a", "c"], "n": [1, 2, 3, 4]})


def answer(sql: str, frame: pl.DataFrame = FRAME) -> list[tuple]:
    selection = Selection(sql)
    selection.check()
    return ingest_query.answer({TABLE: frame.lazy()}, sql).collect(engine="streaming").rows()


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select k from data", [(2,), (1,), (2,), (1,)]),
        ("select k, n from data order by k", [(1, 2), (1, 4), (2, 1), (2, 3)]),
        ("select k, n from data order by k desc limit 3", [(2, 1), (2, 3), (1, 2)]),
        ("select n from data order by k -- the key\n", [(2,), (4,), (1,), (3,)]),
        ("select n from data order by k;", [(2,), (4,), (1,), (3,)]),
        ('select "v w" from data ORDER  BY "v w" OFFSET 1', [("b",), ("c",), ("d",)]),
        ("select k, sum(n) as n from data group by k", [(1, 6), (2, 4)]),
        ("select distinct k from data", [(2,), (1,)]),
        ("select n from data where \"v w\" <> 'order by'", [(1,), (2,), (3,), (4,)]),
        ("with t as (select n from data order by n desc limit 2) select n from t", [(3,), (4,)]),
        ("select n, row_number() over (order by n desc) as r from data", [(1, 4), (2, 3), (3, 2), (4, 1)]),
    ],
)
def test_answers(sql: str, rows: list[tuple]) -> None:
    assert answer(sql) == rows


def test_ties_do_not_depend_on_how_the_sort_went() -> None:
    frame = pl.DataFrame({"k": [number % 3 for number in range(50_000)], "n": [-number for number in range(50_000)]})
    assert answer("select k, n from data order by k", frame) == sorted(frame.rows())


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("select 1", None),
        ("select (select a from b order by c)", None),
        ("select a from b order by c  ", 26),
        ("select a from b order by c limit 3", 27),
        ("select ' order by ' from b", None),
    ],
)
def test_where_the_keys_end(sql: str, place: int | None) -> None:
    assert _end_of_order(sql) == place


def test_refusals() -> None:
    with pytest.raises(UnknownColumn) as caught:
        answer("select vw from data")
    assert caught.value.hint == "did you mean v w?"
    for sql in (
        "",
        "delete from data",
        "select * from read_parquet('/etc/x')",
        "select * from 'x.csv'",
        "select a+ from data",
    ):
        with pytest.raises((Usage, UnknownColumn)):
            answer(sql)
