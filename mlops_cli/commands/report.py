"""`mlops report`: flags, one call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe


def main(
    ref: _options.Ref = None,
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help="md, html, json or cyclonedx.")] = "md",
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="What was on record then (ISO 8601, UTC unless it says).")
    ] = None,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="FILE", help="Write there and print the path, not the text.")
    ] = None,
    registry: _options.Registry = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Tell the story of a registered version.

    What it is, how it was measured, which alias named it when and why, where it comes from, down to the digests of
    raw files. Taken from the registry's records alone; the same records give the same text.

    \b
    mlops report flights@production | less
    mlops report flights@7 --format html -o flights-7.html
    mlops report flights@production --at 2026-03-03T14:00
    """
    with _pipe.session("report", json=json, quiet=quiet, verbose=verbose, registry=registry) as session:
        from mlops_cli.steps import report

        given = session.given(ref)
        text, story = report.run(session.context, given, report.Options(format, at))
        if out:
            report.write(Path(out), text)
            session.print_json({"ref": out}) if json else session.print(out)
        elif json:
            session.print_json(story)
        else:
            session.print(text)
