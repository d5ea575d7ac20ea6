"""`mlops evaluate`: measure a model, and judge it by gates."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe

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
Against = Annotated[
    str | None,
    typer.Option("--against", metavar="REF", help="The champion of gates such as 'f1>=champion-0.01'."),
]
Explain = Annotated[bool, typer.Option("--explain", help="Of images: show where the model looked when it was wrong.")]


def main(
    model: Model = None,
    data: Data = None,
    require: _options.Require = None,
    point: _options.Point = False,
    by: By = None,
    against: Against = None,
    explain: Explain = False,
    seed: _options.Seed = 0,
    out: _options.Out = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
    registry: _options.Registry = None,
) -> None:
    """Measure a model, and judge it by gates.

    \b
    mlops train parts --target late | mlops evaluate --require 'roc_auc>=0.70'
    mlops evaluate flights@3 --data november.parquet --by carrier --require 'recall[carrier=UA]>=0.5'
    mlops evaluate model --against flights@production --require 'f1>=champion-0.01' -o evaluation

    Every metric has a 95 % interval. A gate passes (0) or fails (1) when the whole interval says so; else it is
    inconclusive (3), and says how many more labelled rows would decide. The page is report.html of the result.
    """
    with _pipe.session("evaluate", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        given = session.given(model)
        rows = session.given(data) if data is not None else None
        from mlops_cli.steps import evaluate

        options = evaluate.Options(rows, tuple(require or ()), point, tuple(by or ()), against, seed, explain)
        session.finish(evaluate.run(session.context, given, options, session.output(out)))
