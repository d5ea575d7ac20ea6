"""`mlops predict`: answer the rows of a table."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe

Model = Annotated[str, typer.Argument(metavar="REF", help="The model: a path, NAME, NAME@7 or NAME@alias.")]
Proba = Annotated[bool, typer.Option("--proba", help="The probabilities of the classes too, in their sort order.")]
Explain = Annotated[bool, typer.Option("--explain", help="Why: what each column adds, or where in an image it looks.")]
Rules = Annotated[bool, typer.Option("--rules", help="Which of the model's rules each row breaks, as a list.")]
Keep = Annotated[
    list[str] | None,
    typer.Option("--keep", metavar="COLUMNS", help="Columns that go with the answers: a,b or '*' for all."),
]
BatchRows = Annotated[int, typer.Option("--batch-rows", metavar="N", help="Rows that are answered at a time.")]


def main(
    ref: Model,
    data: _options.Data = None,
    proba: Proba = False,
    explain: Explain = False,
    rules: Rules = False,
    keep: Keep = None,
    batch_rows: BatchRows = 65_536,
    out: _options.TableOut = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
    registry: _options.Registry = None,
) -> None:
    """Answer the rows of a table.

    \b
    mlops predict flights@production new.parquet --keep id --proba -o answers
    mlops ingest new.csv -o - | mlops predict flights@production --keep id -o - > answers.arrows

    The column `prediction` has the class or the value, `proba` a list. Rows in = rows out, in order. Columns that the
    model does not take are ignored; one that it lacks, or of another type, ends with 4. `explain` has what each column
    adds to the raw score (lightgbm; `reasons` has the largest in words), or by how much the answer falls where a patch
    of the image is hidden. `broken` has the rules of the training data that a row breaks.
    """
    with _pipe.session("predict", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        model = session.given(ref)
        table = session.given(data)
        from mlops_cli.steps import predict

        kept = [name.strip() for text in keep or () for name in text.split(",") if name.strip()]
        options = predict.Options(proba, kept, batch_rows, explain, rules)
        if session.streaming(out):
            session.stream(predict.stream(session.context, model, table, options))
        else:
            session.finish(predict.run(session.context, model, table, options, session.output(out)))
