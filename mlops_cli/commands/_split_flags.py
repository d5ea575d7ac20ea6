"""The flags of `mlops split`, which has more of them than fit beside its call."""

from __future__ import annotations

from typing import Annotated

import typer

Test = Annotated[str, typer.Option("--test", metavar="SHARE", help="Share of the test part; with --time a date too.")]
Valid = Annotated[
    str,
    typer.Option("--valid", metavar="SHARE", help="Share of the validation part; with --time a date too."),
]
Stratify = Annotated[
    str | None,
    typer.Option("--stratify", metavar="COLUMN", help="The same share of its values, or bins, in each part."),
]
Bins = Annotated[int, typer.Option("--bins", metavar="N", help="Bins of a target of quantities, between quantiles.")]
Group = Annotated[
    str | None, typer.Option("--group", metavar="COLUMN", help="Rows of one group (camera, patient) stay together.")
]
Time = Annotated[
    str | None, typer.Option("--time", metavar="COLUMN", help="Train on what came first; in each --group if given.")
]
Embargo = Annotated[
    str | None, typer.Option("--embargo", metavar="1h", help="With --time: leave out rows this close before a cut.")
]
Key = Annotated[
    list[str] | None, typer.Option("--key", metavar="COLUMN", help="Place rows by this; else by all their values.")
]
Near = Annotated[
    str | None, typer.Option("--near", metavar="COLUMN[=BITS]|off", help="Keep images that look alike together.")
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="COLUMN", help="Certify its shares, and that no column tells it alone."),
]
Folds = Annotated[
    int | None, typer.Option("--folds", metavar="K", help="Divide train into K folds too, in folds.parquet.")
]
Audit = Annotated[
    tuple[str, str] | None,
    typer.Option("--audit", metavar="TRAIN TEST", help="Look for leaks between parts made elsewhere, and do no more."),
]
