"""Rules about images: what decodes, what was measured, and of those that look alike the first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from image_tables import SCHEMA, drawn, table

from mlops_cli.steps.rules import looks

Cli = Callable[..., Any]

RULES = """
columns:
  image: {decodes: true}
  width: {ge: 28}
  contrast: {ge: 0.02}
  sharpness: {ge: 5}
  label: {isin: [car, van]}
"""


def pictures(count: int = 12) -> pl.DataFrame:
    return table([drawn(seed) for seed in range(count)])


def with_bytes(frame: pl.DataFrame, row: int, data: bytes | None) -> pl.DataFrame:
    """The table with other bytes in a row, its measurements as they were."""
    rows = frame.to_dicts()
    rows[row]["image"] = {"bytes": data, "path": rows[row]["image"]["path"]}
    return pl.DataFrame(rows, schema=SCHEMA)


def validated(cli: Cli, frame: pl.DataFrame, rules: str, *flags: object) -> tuple[Any, dict[str, list[str]]]:
    """How it ended, and the reasons of each rejected row by its path."""
    frame.write_parquet("t.parquet")
    Path("rules.yaml").write_text(rules)
    done = cli("validate", "t.parquet", "--schema", "rules.yaml", "--max-bad", "99%", "--reject", "bad.parquet", *flags)
    if not Path("bad.parquet").exists():
        return done, {}
    bad = pl.read_parquet("bad.parquet")
    assert bad.columns == [*frame.columns, "_errors"]
    return done, dict(zip(bad["image"].struct.field("path"), bad["_errors"].to_list(), strict=True))


def test_sound_images_pass_as_they_are(cli: Cli) -> None:
    frame = pictures()
    done, bad = validated(cli, frame, RULES + "  phash: {near_duplicates: true}\n", "-o", "ok")
    assert bad == {} and done.ref == "ok"
    assert pl.read_parquet("ok/*.parquet").equals(frame)


def test_what_does_not_decode_and_what_is_another_image(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "ROWS", 5)  # answers come in several pieces
    frame = pictures()
    whole = frame["image"][1]["bytes"]
    frame = with_bytes(with_bytes(with_bytes(frame, 2, whole[:-200]), 4, b"hello"), 6, drawn(99))
    frame = with_bytes(frame, 8, None)
    done, bad = validated(cli, frame, RULES)
    other = "image: is not the image of its sha256"
    assert bad == {
        "frames/00002.jpg": ["image: decodes", other],
        "frames/00004.jpg": ["image: decodes", other],
        "frames/00006.jpg": [other],
        "frames/00008.jpg": ["image: decodes"],
    }
    assert re.search(r" 3  +\S+%  error +image: decodes +frames/00002.jpg, frames/00004.jpg", done.err)
    lost = frame.with_columns(image=pl.when(pl.col("label") == "car").then("image"))
    _, there = validated(cli, lost, "columns:\n  image: {decodes: true, nullable: true}\n")
    assert there == bad  # the six missing images are for nullable to judge


def test_column_rules_reach_what_was_measured(cli: Cli) -> None:
    frame = pictures().with_row_index().with_columns(
        width=pl.when(pl.col("index") == 1).then(20).otherwise("width").cast(pl.Int32),
        contrast=pl.when(pl.col("index") == 2).then(0.001).otherwise("contrast"),
        sharpness=pl.when(pl.col("index") == 3).then(1.0).otherwise("sharpness"),
        label=pl.when(pl.col("index") == 4).then(pl.lit("boat")).otherwise("label"),
    )  # fmt: skip
    _, bad = validated(cli, frame.drop("index"), RULES)
    assert [reasons[0].partition(":")[0] for reasons in bad.values()] == ["width", "contrast", "sharpness", "label"]


def test_of_near_duplicates_the_first_stays(cli: Cli) -> None:
    frame = table([drawn(1), drawn(2), drawn(1, noise=1), drawn(1, noise=2), drawn(3), drawn(2)])
    done, bad = validated(cli, frame, "columns:\n  phash: {near_duplicates: true}\n", "-o", "ok")
    reason = ["phash: near_duplicates(6)"]
    assert bad == {f"frames/0000{row}.jpg": reason for row in (2, 3, 5)}
    assert re.search(r" 3  50.00%  error  phash: near_duplicates\(6\)  frames/00002.jpg", done.err)
    _, bad = validated(cli, frame, "columns:\n  phash: {near_duplicates: 0}\n")
    assert "frames/00005.jpg" in bad  # an exact copy; the first of them stays
    _, bad = validated(cli, frame, "columns:\n  sha256: {unique: true}\n")
    assert sorted(bad) == ["frames/00001.jpg", "frames/00005.jpg"]  # here neither stays
    holes = frame.with_columns(phash=pl.lit(None, dtype=pl.UInt64))
    _, bad = validated(cli, holes, "columns:\n  phash: {near_duplicates: true, nullable: true}\n")
    assert bad == {}


def test_a_stream_is_judged_as_the_file_is(cli: Cli) -> None:
    frame = with_bytes(table([drawn(seed // 2, noise=seed % 2) for seed in range(20)]), 3, b"hello")
    rules = RULES + "  phash: {near_duplicates: 4}\n"
    _, wanted = validated(cli, frame, rules)
    ref = cli("ingest", "t.parquet").ref
    stream = cli("ingest", "t.parquet", "-o", "-").raw
    flags = ("--schema", "rules.yaml", "--max-bad", "99%")
    assert cli("validate", "-", *flags, "-o", "-", "--reject", "other.parquet", stdin=stream).code == 0
    bad = pl.read_parquet("other.parquet")
    assert dict(zip(bad["image"].struct.field("path"), bad["_errors"].to_list(), strict=True)) == wanted
    assert len(wanted) > 5 and cli("validate", ref, *flags).code == 0


def test_inferred_rules_pass_and_say_nothing_of_bytes_and_hashes(cli: Cli) -> None:
    pictures(40).write_parquet("t.parquet")
    rules = cli("validate", "t.parquet", "--infer").out
    Path("rules.yaml").write_text(rules)
    assert cli("validate", "t.parquet", "--schema", "rules.yaml").code == 0
    assert "  image:\n    nullable: false\n  label:" in rules
    assert "  phash:\n    dtype: uint64\n    nullable: false\n  brightness:" in rules
    assert "min_value: 48" in rules and "- car" in rules


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("width: {decodes: true}", "columns.width.decodes: the column is Int32, not of images"),
        ("sha256: {near_duplicates: 3}", "the column is String, not of 64-bit perceptual hashes"),
        ("phash: {near_duplicates: 17}", "columns.phash.near_duplicates: 17 is neither true nor 0 to 16 bits"),
        ("phash: {near_duplicates: few}", "'few' is neither true nor 0 to 16 bits"),
        ("image: {decodes: maybe}", "columns.image.decodes: 'maybe' is not true or false"),
        ("image: {decode: true}", "did you mean decodes?"),
    ],
)
def test_rules_that_cannot_be(cli: Cli, column: str, words: str) -> None:
    done, _ = validated(cli, pictures(2), f"columns:\n  {column}\n")
    assert done.code == 4 and words in done.err, done.err


def test_the_words_count_in_the_digest_only_where_they_are(cli: Cli) -> None:
    pictures(3).write_parquet("t.parquet")
    digests = []
    for rules in ("width: {ge: 3}", "width: {ge: 3}\n  image: {}", "width: {ge: 3}\n  image: {decodes: true}"):
        Path("rules.yaml").write_text(f"columns:\n  {rules}\n")
        made = cli("validate", "t.parquet", "--schema", "rules.yaml").ref
        digests.append(json.loads(Path(made, "validation.json").read_bytes())["rules"])
    assert len(set(digests)) == 3
    assert digests[0] == "sha256:8d887e824c5221bdb5028dfeafdb5d5e369875d585edc24f629702fa92b77ad6"
