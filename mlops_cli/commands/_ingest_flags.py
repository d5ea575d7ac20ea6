"""The flags of `mlops ingest`, which has more of them than fit beside its call."""

from __future__ import annotations

from typing import Annotated

import typer

Source = Annotated[
    list[str] | None,
    typer.Argument(metavar="SOURCE…", help="Files, globs, directories of images, s3://…; '-' or none: stdin."),
]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="csv, ndjson, parquet, arrow, images; else told by the first bytes."),
]
Sql = Annotated[
    str | None, typer.Option("--sql", metavar="QUERY", help="Take the answer to a query of the table 'data'.")
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
        help="Labels of images: directory (that they lie in), none, or a FILE (CSV, NDJSON) with columns path and "
        "label.",
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
