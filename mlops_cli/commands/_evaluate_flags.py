"""The flags of `mlops evaluate`, which has more of them than fit beside its call."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[
    str | None,
    typer.Argument(metavar="[MODEL]", help="A path, NAME, NAME@7 or NAME@alias; standard input without it."),
]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="REF", help="Rows to measure on; else the test part of the model's split."),
]
By = Annotated[
    list[str] | None,
    typer.Option("--by", metavar="COLUMN", help="Measure each level of the column too; may be given several times."),
]
Positive = Annotated[
    str | None,
    typer.Option("--positive", metavar="LABEL", help="The class of precision, recall, …; else the model's own."),
]
Group = Annotated[
    str | None,
    typer.Option("--group", metavar="COLUMN", help="Rows that belong together; else that of the model's split."),
]
Slices = Annotated[
    int, typer.Option("--slices", metavar="ROWS", help="Look for the worst slices of at least so many rows.")
]
Against = Annotated[
    str | None,
    typer.Option("--against", metavar="REF", help="The champion: compared row by row, and that of 'f1>=champion'."),
]
Cost = Annotated[
    str | None, typer.Option("--cost", metavar="FILE", help="What each kind of error costs (TOML); else the model's.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="What the answers depend on; of images, where the model looked when wrong.")
]
Robustness = Annotated[
    bool, typer.Option("--robustness", help="How far noise and missing columns move the answers of a table's rows.")
]
