"""`mlops evaluate`: measure a model, and judge it by gates."""

from __future__ import annotations

from mlops_cli.commands import _evaluate_flags as flags
from mlops_cli.commands import _options, _pipe


def main(
    model: flags.Model = None,
    data: flags.Data = None,
    require: _options.Require = None,
    policy: _options.Policy = None,
    point: _options.Point = False,
    by: flags.By = None,
    positive: flags.Positive = None,
    group: flags.Group = None,
    slices: flags.Slices = 0,
    against: flags.Against = None,
    cost: flags.Cost = None,
    explain: flags.Explain = False,
    robustness: flags.Robustness = False,
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

        options = evaluate.Options(
            rows,
            tuple(require or ()),
            point,
            tuple(by or ()),
            against,
            seed,
            explain,
            policy,
            group,
            slices,
            cost,
            robustness,
            positive,
        )
        session.finish(evaluate.run(session.context, given, options, session.output(out)))
