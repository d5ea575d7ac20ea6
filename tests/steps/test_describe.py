"""The page about a table: its numbers against counts by hand, its suspicions, and what a browser makes of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import image_models
import numpy as np
import polars as pl
import pytest
from browsing import needs_browser, opened

from mlops_cli.steps import describe_page, describe_suspects, describe_table, describe_target

EVIL = "<script>alert(1)</script>\"'&"
ROWS = 2_000


def table(rows: int = ROWS) -> pl.DataFrame:
    """A table with one of everything that is suspicious."""
    random = np.random.default_rng(0)
    number = random.normal(size=rows)
    late = number + random.normal(size=rows) > 1
    return pl.DataFrame(
        {
            "id": [f"r{n}" for n in range(rows)],
            "number": pl.Series(number).scatter(0, float("nan")),
            "metres": np.round(number * 1000, 1),
            "same": pl.Series(number).scatter(0, float("nan")),
            "delay": np.where(late, 30, 0) + random.integers(0, 10, rows),
            "age": np.where(random.random(rows) < 0.05, -999, random.integers(18, 90, rows)),
            "city": [("Oslo", "oslo", "Rome ", "Bonn")[n % 4] for n in range(rows)],
            "on": [f"2013-{1 + n % 12:02d}-11" for n in range(rows)],
            "zip": [f"{n % 90:05d}" for n in range(rows)],
            "one": [7] * rows,
            "empty": pl.Series([None] * rows, dtype=pl.String),
            EVIL: [("a", EVIL)[n % 2] for n in range(rows)],
            "list": [[n] for n in range(rows)],
            "late": late,
        }
    )


def test_the_numbers_are_those_of_the_rows() -> None:
    found = describe_table.describe(table().lazy(), "t")
    assert (found.rows, found.whole) == (ROWS, True)
    number = found.column("number")
    there = table()["number"].fill_nan(None).drop_nulls()
    assert (number.missing, number.distinct) == (1, ROWS - 1)
    assert number.mean == pytest.approx(there.mean()) and number.least == there.min()
    assert (found.column("empty").missing, found.column("empty").distinct) == (ROWS, 0)
    assert found.column("late").distinct == 2 and found.column("list").distinct is None


def test_of_a_long_table_a_sample_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe_table, "SAMPLE", 1_000)
    frame = table(20_000)
    found = describe_table.describe(frame.lazy(), "t")
    assert not found.whole and 800 < found.sample.height < 1_200
    assert found.column("id").distinct == pytest.approx(20_000, rel=0.15)
    assert found.column("age").least == -999 and found.column("number").missing == 1, "these are of all rows"
    again = describe_table.describe(frame.lazy(), "t")
    assert again.sample.equals(found.sample), "the same table gives the same page"
    assert "chosen by" in describe_page.render(found, None, [], [])


def test_every_suspicion_is_raised_once_and_nothing_else_is() -> None:
    found = describe_table.describe(table().lazy(), "t")
    linked = describe_target.associations(found, "late")
    made = {(one.column, one.what) for one in describe_suspects.suspects(found, linked)}
    assert made == {
        ("delay", "leak?"),
        ("id", "identifier"),
        ("metres", "copy"),
        ("same", "copy"),
        ("age", "sentinel"),
        ("city", "mixed spelling"),
        ("on", "dates as text"),
        ("zip", "numbers as text"),
        ("one", "constant"),
        ("empty", "empty"),
    }


def test_associations_are_what_their_names_say() -> None:
    random = np.random.default_rng(1)
    group = random.integers(0, 3, 3_000)
    x = random.normal(size=3_000)
    noise, names = random.normal(size=3_000), [f"g{n}" for n in group]
    frame = pl.DataFrame({"x": x, "cube": x**3, "group": names, "shift": group * 2.0 + x, "noise": noise})
    found = describe_table.describe(frame.lazy(), "t")
    by = {one.column: one for one in describe_target.associations(found, "cube")}
    assert by["x"].measure == "Spearman's ρ" and by["x"].value == pytest.approx(1.0)
    assert by["x"].alone is not None and by["x"].alone > 0.85
    assert abs(by["noise"].value or 0) < 0.06 and by["noise"].alone == pytest.approx(0, abs=0.05)
    by = {one.column: one for one in describe_target.associations(found, "group")}
    # η² is the variance between the groups in that of all: 4·var(group) / (4·var(group) + 1)
    between = 4 * group.var()
    assert by["shift"].measure == "correlation ratio η"
    assert by["shift"].value == pytest.approx(np.sqrt(between / (between + 1)), abs=0.02)
    both = pl.DataFrame({"a": ["x", "y"] * 100, "b": ["u", "v"] * 100, "c": ["p", "p", "q", "q"] * 50})
    found = describe_table.describe(both.lazy(), "t")
    by = {one.column: one for one in describe_target.associations(found, "a")}
    assert by["b"].value == pytest.approx(1.0) and by["b"].alone == 1.0
    assert by["c"].value == 0.0 and by["c"].alone == 0.0


def test_an_identifier_predicts_nothing_on_rows_it_was_not_learnt_from() -> None:
    frame = pl.DataFrame({"id": [f"r{n}" for n in range(500)], "y": [n % 3 == 0 for n in range(500)]})
    (one,) = describe_target.associations(describe_table.describe(frame.lazy(), "t"), "y")
    assert one.alone == 0.0, "learnt and judged on the same rows it would be 1"


def test_the_command_writes_a_page_beside_the_dataset(cli: Any) -> None:
    table().drop("list").write_parquet("t.parquet")
    ended = cli("validate", "t.parquet", "--profile", "page.html", "--target", "late")
    assert ended.code == 0 and "10 columns to look at" in ended.err and "2,000 rows in" in ended.err
    text = Path("page.html").read_text()
    assert "<script" not in text and "&lt;script&gt;" in text and "//" not in text.replace("http://www.w3.org", "")
    Path("r.yaml").write_text("columns: {one: {checks: {lt: 5}}}")
    Path("page.html").unlink()
    ended = cli("validate", "t.parquet", "--profile", "page.html", "--schema", "r.yaml")
    assert ended.code == 1 and Path("page.html").is_file(), "a finding has a page too"


@pytest.mark.parametrize(
    ("flags", "code", "word"),
    [
        (("--target", "lat", "--profile", "p.html"), 4, "did you mean late?"),
        (("--target", "late"), 2, "--target goes with --profile"),
        (("--profile", "p.html", "--infer"), 2, "--infer"),
        (("--profile", "no/such/p.html"), 8, "cannot write"),
        (("--profile", "p.html", "--target", "list"), 2, "cannot be predicted"),
    ],
)
def test_what_cannot_be_is_told(cli: Any, flags: tuple[str, ...], code: int, word: str) -> None:
    table(200).write_parquet("t.parquet")
    ended = cli("validate", "t.parquet", *flags)
    assert ended.code == code and word in ended.err and len(ended.err.splitlines()) <= 2
    assert not Path("p.html").exists()


def test_a_table_without_rows_and_one_on_stdin(cli: Any) -> None:
    table().head(0).write_parquet("t.parquet")
    assert cli("validate", "t.parquet", "--profile", "p.html").code == 4
    rows = b'{"a": 1}\n'
    assert cli("validate", "--profile", "p.html", stdin=rows).code == 2 and not Path("p.html").exists()


def test_a_table_of_images_shows_some_and_not_their_hashes(cli: Any) -> None:
    image_models.table(40).with_columns(phash=pl.lit(7, pl.UInt64)).write_parquet("images.parquet")
    ended = cli("validate", "images.parquet", "--profile", "page.html", "--target", "label")
    assert ended.code == 0, ended.err
    text = Path("page.html").read_text()
    assert text.count('src="data:image/jpeg') == 12
    assert "<h3>camera</h3>" in text and "<h3>phash</h3>" not in text and "<h3>sha256</h3>" not in text


def test_whole_numbers_stand_in_the_middle_of_their_bars() -> None:
    edges: list[list[float]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(describe_page.small_charts, "distribution", lambda at, counts, times: edges.append(at) or "")
        found = describe_table.describe(pl.DataFrame({"n": [3, 3, 5], "one": [50, 50, 50]}).lazy(), "t")
        describe_page.render(found, None, [], [])
    assert edges == [[2.5, 3.5, 4.5, 5.5], [49.5, 50.5]]


def test_names_that_look_like_patterns_are_names(cli: Any) -> None:
    rows = 120
    columns = {
        "^a.*$": [1] * rows,
        "ab": [2] * rows,
        "*": range(rows),
        "^t.*$": ["x", "y"] * 60,
        "^e$": [1.5, None] * 60,
    }
    frame = pl.DataFrame(columns).with_columns(pl.lit(datetime(2013, 1, 2)).alias("^on.*$"))
    frame.write_parquet("t.parquet")
    for target in columns:
        ended = cli("validate", "t.parquet", "--profile", "page.html", "--target", target)
        assert ended.code == 0, ended.err
    page = Path("page.html").read_text()
    assert "the one value is 1<" in page and "the one value is 2<" in page and "2013-01-02 00:00" in page
    ended = cli("validate", "t.parquet", "--against", "t.parquet")
    assert ended.code == 0 and "nothing has changed" in ended.err, ended.err
    frame.with_columns(pl.lit("new").alias("^t.*$"), pl.lit(3).alias("^a.*$")).write_parquet("u.parquet")
    told = cli("validate", "u.parquet", "--against", "t.parquet").err
    assert "^t.*$: new values: 120 rows, such as new" in told and "^a.*$: 3 to 3, beyond 1 to 1" in told


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([2**63, 2**63 + 1, 2**63 + 1025], pl.UInt64),
        ([2**63] * 2, pl.UInt64),
        ([-(2**63), -(2**63) + 1], pl.Int64),
        ([1e300, np.nextafter(1e300, 2e300)], pl.Float64),
        ([np.finfo(float).max] * 2, pl.Float64),
        ([0.0, 5e-324], pl.Float64),
    ],
)
def test_numbers_that_are_too_close_for_bars(values: list[Any], dtype: pl.DataType) -> None:
    frame = pl.DataFrame({"n": pl.Series(values * 60, dtype=dtype), "m": [1.0, 2.0, 3.0][: len(values)] * 60})
    found = describe_table.describe(frame.lazy(), "t")
    linked = describe_target.associations(found, "n")
    page = describe_page.render(found, "n", linked, describe_suspects.suspects(found, linked))
    assert "<h3>n</h3>" in page


def test_times_beyond_the_year_9999(cli: Any) -> None:
    days = pl.Series([0, 4_000_000, -4_000_000, 1], dtype=pl.Int32).cast(pl.Date)
    micros = pl.Series([0, 10**17, 4 * 10**17, 1]).cast(pl.Datetime("us"))
    zoned = micros.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Oslo")
    pl.DataFrame({"day": days, "at": micros, "zoned": zoned}).write_parquet("t.parquet")
    ended = cli("validate", "t.parquet", "--profile", "page.html", "--target", "at")
    assert ended.code == 0, ended.err
    page = Path("page.html").read_text()
    assert "before the year 1" in page and "after the year 9999" in page and "1970-01-01 00:00" in page
    Path("r.yaml").write_text("columns: {at: {le: 2030-01-01}, day: {le: 2030-01-01}, zoned: {le: 2030-01-01}}")
    ended = cli("validate", "t.parquet", "--schema", "r.yaml")
    assert ended.code == 1 and "400000000000000000" in ended.err and "4000000\n" in ended.err, ended.err


@needs_browser
def test_a_browser_shows_it_without_a_word(tmp_path: Path) -> None:
    found = describe_table.describe(table().with_columns(pl.lit(3).alias("x" * 300)).lazy(), EVIL)
    linked = describe_target.associations(found, "late")
    path = tmp_path / "page.html"
    path.write_text(describe_page.render(found, "late", linked, describe_suspects.suspects(found, linked)))
    with opened(path) as tab:
        assert tab.title().startswith(EVIL)
        assert tab.locator("figure").count() == 13
