"""The flags of `mlops validate`, which has more of them than fit beside its call."""

from __future__ import annotations

from typing import Annotated

import typer

Data = Annotated[
    list[str] | None,
    typer.Argument(metavar="[DATA]", help="A dataset, a data file or a reference; standard input without it."),
]
Schema = Annotated[str | None, typer.Option("--schema", metavar="FILE", help="The rules, YAML in pandera's form.")]
Infer = Annotated[
    bool, typer.Option("--infer", help="Print rules that this data passes, one or several DATA, and do nothing else.")
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance", metavar="N", help="With --infer: ranges wider by N spreads; 0 for one DATA, 1 for several."
    ),
]
JsonSchema = Annotated[
    bool, typer.Option("--json-schema", help="Print the JSON Schema of rules files, for editors, and do nothing else.")
]
Profile = Annotated[
    str | None, typer.Option("--profile", metavar="PATH", help="Write an HTML page about the data as it comes.")
]
Target = Annotated[
    str | None, typer.Option("--target", metavar="COLUMN", help="With --profile: what is to be predicted.")
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against", metavar="REF", help="Say what is different from a model's training data, or from a table."
    ),
]
MaxDrift = Annotated[
    float | None, typer.Option("--max-drift", metavar="PSI", help="With --against: how far a column may have moved.")
]
MaxBad = Annotated[
    str,
    typer.Option("--max-bad", metavar="LIMIT", help="How many may fail: a share (0.01, 1%) or a number of rows (20)."),
]
Now = Annotated[
    str | None,
    typer.Option(
        "--now",
        metavar="TIME",
        envvar="MLOPS_NOW",
        help="The time that freshness is judged at, ISO 8601; the clock's.",
    ),
]
