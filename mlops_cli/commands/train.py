"""`mlops train`: fit a model on a split."""

from __future__ import annotations

from mlops_cli.commands import _options, _pipe
from mlops_cli.commands import _train_flags as flags


def main(
    split: flags.Split = None,
    target: flags.Target = ...,  # type: ignore[assignment]  # typer's way to say that it must be given
    family: flags.Family = None,
    task: flags.Task = None,
    positive: flags.Positive = None,
    exclude: flags.Exclude = None,
    include: flags.Include = None,
    weight: flags.Weight = None,
    class_weight: flags.ClassWeight = None,
    monotone: flags.Monotone = None,
    set: flags.Set = None,
    search: flags.Search = None,
    space: flags.Space = None,
    trials: flags.Trials = None,
    cv: flags.Cv = 0,
    metric: flags.Metric = None,
    jobs: flags.Jobs = 0,
    calibrate: flags.Calibrate = None,
    threshold: flags.Threshold = None,
    cost: flags.Cost = None,
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
        from mlops_cli.models import memory

        memory.at_once()
        from mlops_cli.steps import train

        options = train.Options(
            target,
            family,
            task,
            positive,
            set or (),
            train.Tuning(search, space or (), cv, metric, jobs, trials),
            train.Learning(exclude or (), include or (), weight, class_weight, monotone or ()),
            train.Deciding(calibrate, threshold, cost),
            seed,
        )
        session.finish(train.run(session.context, given, options, session.output(out)))
