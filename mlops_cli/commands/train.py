"""`mlops train`: fit a model on a split."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe

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
Set = Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="A setting; may be given several times.")]
Search = Annotated[str | None, typer.Option("--search", metavar="KIND", help="Look for good settings: grid or random.")]
Space = Annotated[list[str] | None, typer.Option("--space", metavar="K=V,V,…", help="Values to try, or LOW..HIGH.")]
Trials = Annotated[int | None, typer.Option("--trials", metavar="N", help="Trials of a random search; else 20.")]
Cv = Annotated[int, typer.Option("--cv", metavar="N", help="Judge trials on N parts of the train rows in turn.")]
Metric = Annotated[
    str | None, typer.Option("--metric", metavar="NAME", help="What to stop and choose by: log_loss, roc_auc, rmse, …")
]
Jobs = Annotated[int, typer.Option("--jobs", metavar="N", help="Trials at a time; else as many as processors.")]


def main(
    split: Split = None,
    target: Target = ...,  # type: ignore[assignment]  # typer's way to say that it must be given
    family: Family = None,
    task: Task = None,
    positive: Positive = None,
    set: Set = None,
    search: Search = None,
    space: Space = None,
    trials: Trials = None,
    cv: Cv = 0,
    metric: Metric = None,
    jobs: Jobs = 0,
    seed: _options.Seed = 0,
    out: _options.Out = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
    registry: _options.Registry = None,
) -> None:
    """Fit a model on a split.

    \b
    mlops split flights --test 0.2 | mlops train --target delayed
    mlops train parts --target price --set learning_rate=0.05 --set num_leaves=63 -o model
    mlops train parts --target species --search grid --space num_leaves=7,15,31 --space learning_rate=0.05,0.1 --cv 5
    mlops train frames --target label --search random --trials 8 --space width=32,64 --space learning_rate=0.2..2

    Stops early by the valid part. The same rows, flags and seed give the same model, whatever the processors.
    """
    with _pipe.session("train", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        given = session.given(split)
        from mlops_cli.steps import train

        tuning = train.Tuning(search, space or (), cv, metric, jobs, trials)
        options = train.Options(target, family, task, positive, set or (), tuning, seed)
        session.finish(train.run(session.context, given, options, session.output(out)))
