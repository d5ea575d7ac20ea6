"""The flags of `mlops ingest`, which has more of them than fit beside its call."""

from __future__ import annotations

from typing import Annotated

import typer

Source = Annotated[
    list[str] | None,
    typer.Argument(metavar="SOURCE…", help="Files, globs, directories of images, URLs; '-' or none: stdin."),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="NAME=SOURCE", help="A table and its name in the query; several times for several."
    ),
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="VERSION", help="A lake table as it was: a version, a snapshot id, or an ISO time."),
]
Rename = Annotated[
    list[str] | None,
    typer.Option("--rename", metavar="OLD=NEW,…", help="Call columns something else; may be given several times."),
]
Cast = Annotated[
    list[str] | None,
    typer.Option(
        "--cast", metavar="COLUMN=TYPE,…", help="Give columns another type; a value that does not fit is an error."
    ),
]
TargetSchema = Annotated[
    str | None,
    typer.Option(
        "--target-schema", metavar="FILE", help="The columns, order and types of a rules file (YAML) or a dataset."
    ),
]
Dedupe = Annotated[
    str | None, typer.Option("--dedupe", metavar="A,B,…", help="Keep one row of those with equal values here.")
]
Keep = Annotated[str, typer.Option("--keep", metavar="WHICH", help="Which row --dedupe keeps: first or last.")]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="csv, ndjson, parquet, arrow, images; else told by the first bytes."),
]
Query = Annotated[
    str | None,
    typer.Option("--query", metavar="QUERY", help="What to ask a database: 'select …', or the name of a table."),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="COLUMN", help="Add to what was taken before only rows that are new by it."),
]
Sql = Annotated[
    str | None, typer.Option("--sql", metavar="QUERY", help="The answer to a query of the table 'data', or of --input.")
]
Columns = Annotated[
    str | None, typer.Option("--columns", metavar="A,B,…", help="Take only these columns, in this order.")
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="Take only the first N rows.")]
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="RULE",
        help="Labels of images: directory (that they lie in), none, or a FILE (CSV, NDJSON) with path and label.",
    ),
]
Camera = Annotated[
    str | None,
    typer.Option(
        "--camera",
        metavar="RULE",
        help="Cameras of images: name (the file's, up to the time), directory (above the label), none, or =NORTH.",
    ),
]
Fps = Annotated[str | None, typer.Option("--fps", metavar="N", help="Frames a second of a video; 1.")]
MaxBad = Annotated[
    str | None,
    typer.Option(
        "--max-bad",
        metavar="LIMIT",
        help="How many images may be unreadable: a share (0.01, 1%) or a number of them (20); 1%.",
    ),
]
