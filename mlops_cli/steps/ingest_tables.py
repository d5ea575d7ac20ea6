"""Tables that were looked at and not read yet: the files, objects, databases and lakes that a user names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_cli import extensions, logs
from mlops_cli.errors import Usage
from mlops_cli.sources import lake_names
from mlops_cli.sources.asked import Asked
from mlops_cli.steps import ingest_files, references
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given
from mlops_cli.store import artefact, manifest
from mlops_cli.store.manifest import Input

if TYPE_CHECKING:
    from mlops_cli.sources.base import Scanned


@dataclass(frozen=True)
class Opened:
    """A table whose rows are there to be read, and what kind of source it is.

    `settled`, if any, is asked after the last row: the inputs as they turned out, such as the digest of an answer.
    """

    scanned: Scanned
    format: str
    settled: Callable[[], list[Input]] | None = None


Opener = Callable[[Path, bool], AbstractContextManager[Opened]]
"""Opens a table: a directory for temporary copies, whether not every row and column will be looked at."""


@dataclass(frozen=True)
class Origin:
    """A table that was looked at: `key` is its share of a memo key, None when it has none and is always read."""

    name: str
    inputs: list[Input]
    key: object | None
    opener: Opener


def origin(ctx: Context, names: Sequence[str], asked: Asked, *, datasets: bool = False) -> Origin:
    """The table that names mean together; with `datasets` an artefact, or what a registered name was made from, too.

    Errors: Missing, WrongKind, Usage for what does not go together.
    """
    places = [place for place in map(place_of, names) if place]
    if not places:
        if datasets and len(names) == 1 and _is_reference(names[0]):
            return _of_artefact(ctx, names[0])
        for name in names:
            lake_names.refuse_inside(name)
        return _of_files(ctx, ingest_files.expand(names), asked)
    if len(names) > 1:
        raise Usage(
            f"{logs.redact(names[0])} is a table of its own", "give it alone, or several with --input NAME=SOURCE"
        )
    return _of_place(ctx, places[0], names[0], asked)


def place_of(name: str) -> str | None:
    """Where the table lies that a name means; None for a file."""
    scheme, there, _ = name.partition("://")
    return lake_names.kind(name) or (scheme if there and scheme in extensions.PLACES else None)


def _is_reference(name: str) -> bool:
    """Whether a name means an artefact, or has the form of a registered name and is no file."""
    path = Path(name)
    if artefact.is_artefact(path) or path.name == manifest.NAME:
        return True
    return not path.exists() and references.registered(name) is not None


def _of_artefact(ctx: Context, name: str) -> Origin:
    """The table of an artefact, which lineage has by its id."""
    found = references.resolve(ctx, Given(name), "dataset", "predictions")

    @contextmanager
    def opened(scratch: Path, narrowed: bool) -> Iterator[Opened]:
        del scratch, narrowed
        from mlops_cli.sources.base import Scanned
        from mlops_cli.steps import tables

        table = tables.from_artefact(found.artefact, found.input)
        yield Opened(Scanned(table.frame), found.artefact.kind)

    return Origin(name, [found.input], [found.artefact.id], opened)


def _of_place(ctx: Context, place: str, name: str, asked: Asked) -> Origin:
    """A table that lies somewhere by a name of its own."""
    found = extensions.load("places", place).find(name, asked)
    for line in found.notes:
        ctx.note(line)

    @contextmanager
    def opened(scratch: Path, narrowed: bool) -> Iterator[Opened]:
        from mlops_cli.sources.base import Options

        yield Opened(found.scan(Options(scratch, narrowed)), place, found.settled)

    return Origin(logs.redact(name), found.inputs, found.key, opened)


def _of_files(ctx: Context, paths: Sequence[Path], asked: Asked) -> Origin:
    """Files of one format as one table."""
    asked.refuse_version()
    digests = _digests(ctx, paths)
    inputs = [Input("file", f"sha256:{digest}", str(path)) for path, digest in zip(paths, digests, strict=True)]
    key = [[source.id for source in inputs], asked.format]
    return Origin(str(paths[0]), inputs, key, files([(path, str(path)) for path in paths], asked))


def files(named: Sequence[tuple[Path, str]], asked: Asked) -> Opener:
    """How files (where they are, what they are called) are opened."""

    @contextmanager
    def opened(scratch: Path, narrowed: bool) -> Iterator[Opened]:
        from mlops_cli.sources.base import File
        from mlops_cli.steps import reading

        prepared = reading.prepare([File(path, name) for path, name in named], asked.format, scratch)
        yield Opened(prepared.scan(scratch, narrowed=narrowed, texts=asked.texts), prepared.format)

    return opened


def _digests(ctx: Context, paths: Sequence[Path]) -> list[str]:
    """The digests of files. While one is taken that is large, and so not known, what converts it is imported."""
    found: list[str] = []
    failed: list[BaseException] = []

    def take() -> None:
        try:
            found.extend(ctx.workspace.digest(path) for path in paths)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=take, daemon=True)  # not waited for when the user interrupts
    thread.start()
    thread.join(0.1)
    if thread.is_alive():
        from mlops_cli.steps import ingest_build  # noqa: F401

        thread.join()
    if failed:
        raise failed[0]
    return found
