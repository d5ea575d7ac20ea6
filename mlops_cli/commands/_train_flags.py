"""The flags of `mlops train`, which has more of them than fit beside its call."""

from __future__ import annotations

from typing import Annotated

import typer

Split = Annotated[
    str | None,
    typer.Argument(metavar="[SPLIT]", help="A split, or a table (15 % are held out); standard input without it."),
]
Target = Annotated[str, typer.Option("--target", metavar="COLUMN", help="The column to predict.")]
Family = Annotated[
    str | None,
    typer.Option("--family", metavar="NAME", help="The kind of model; else cnn for images, lightgbm for tables."),
]
Task = Annotated[str | None, typer.Option("--task", metavar="TASK", help="binary, multiclass, regression; else told.")]
Positive = Annotated[
    str | None, typer.Option("--positive", metavar="CLASS", help="Which of two classes; else the last.")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="COLUMNS", help="Columns not to learn from: a,b; several times."),
]
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="COLUMNS", help="Columns to learn from that would be left out: a,b."),
]
Weight = Annotated[
    str | None, typer.Option("--weight", metavar="COLUMN", help="How much each row counts; not learnt from.")
]
ClassWeight = Annotated[
    str | None,
    typer.Option("--class-weight", metavar="WEIGHTS", help="balanced, or CLASS=W,CLASS=W: how much rows of it count."),
]
Monotone = Annotated[
    list[str] | None,
    typer.Option("--monotone", metavar="COLUMN=WAY", help="increasing or decreasing: the answer may only go that way."),
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="A setting; may be given several times.")]
Search = Annotated[
    str | None, typer.Option("--search", metavar="KIND", help="Look for good settings: grid, random or tpe.")
]
Space = Annotated[list[str] | None, typer.Option("--space", metavar="K=V,V,…", help="Values to try, or LOW..HIGH.")]
Trials = Annotated[int | None, typer.Option("--trials", metavar="N", help="Trials of random and tpe; else 20.")]
Cv = Annotated[int, typer.Option("--cv", metavar="N", help="Judge trials on N parts of the train rows in turn.")]
Metric = Annotated[
    str | None, typer.Option("--metric", metavar="NAME", help="What to stop and choose by: log_loss, roc_auc, rmse, …")
]
Jobs = Annotated[int, typer.Option("--jobs", metavar="N", help="Trials at a time; else as many as processors.")]
Calibrate = Annotated[
    str | None, typer.Option("--calibrate", metavar="HOW", help="Make probabilities honest: isotonic or platt.")
]
Threshold = Annotated[
    str | None,
    typer.Option("--threshold", metavar="WHAT", help="From which probability on: 0.3, or the best for f1, cost, …"),
]
Cost = Annotated[
    str | None, typer.Option("--cost", metavar="FILE", help="What each kind of error costs (TOML); kept in the model.")
]
