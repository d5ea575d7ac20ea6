"""Tables that were looked at and not read yet: what a user names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_cli import extensions, logs
from mlops_cli.errors import Usage, WrongKind
from mlops_cli.sources import csv_dialect, lake_names, remote
from mlops_cli.sources.asked import Asked
from mlops_cli.sources.remote import Remote
from mlops_cli.steps import ingest_files, ingest_places, ingest_remote, references
from mlops_cli.steps.context import Context
from mlops_cli.steps.ingest_places import Place
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
    places = [ingest_places.place(name) for name in names]
    if not any(places):
        if asked.query is not None:
            ingest_files.expand([name for name in names if not remote.scheme(name)])
            raise Usage("--query asks a database, and this is none", "--sql 'select … from data' for everything else")
        if datasets and len(names) == 1 and _is_reference(names[0]):
            return _of_artefact(ctx, names[0])
        return _of_files(ctx, _sources(ctx, names, asked.format), asked)
    if len(names) > 1:
        hint = "give it alone, or several with --input NAME=SOURCE"
        raise Usage(f"{_shown(names, places)} is a table of its own", hint)
    (place,) = places
    assert place is not None
    return _of_place(ctx, place, asked)


def _shown(names: Sequence[str], places: Sequence[Place | None]) -> str:
    """The first of names that is a place, as it can be shown."""
    return next(logs.redact(name) for name, place in zip(names, places, strict=True) if place)


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


def _of_place(ctx: Context, place: Place, asked: Asked) -> Origin:
    """A table that lies somewhere by a name of its own."""
    found = extensions.load("places", place.kind).find(place.url, asked)
    for line in found.notes:
        ctx.note(line)

    @contextmanager
    def opened(scratch: Path, narrowed: bool) -> Iterator[Opened]:
        from mlops_cli.sources.base import Options

        yield Opened(found.scan(Options(scratch, narrowed)), place.kind, found.settled)

    return Origin(logs.redact(place.url), found.inputs, found.key, opened)


def _sources(ctx: Context, names: Sequence[str], format: str | None) -> list[Path | Remote]:
    """The files and objects that are named, in order."""
    found: list[Path | Remote] = []
    for name in names:
        if remote.scheme(name):
            found.extend(_objects(ctx, name, format))
        else:
            lake_names.refuse_inside(name)
            found.extend(ingest_files.expand([name]))
    return found


def _objects(ctx: Context, name: str, format: str | None) -> Sequence[Remote]:
    """The objects of a table at a URL. WrongKind when there are images instead."""
    objects = ingest_remote.look(ctx, name, format).objects
    if not objects:
        raise WrongKind(f"{logs.redact(name)} is no table: there are images", "ingest each kind by itself")
    return objects


def _of_files(ctx: Context, sources: Sequence[Path | Remote], asked: Asked) -> Origin:
    """Files and objects of one format as one table; what is not here is copied when it is opened."""
    asked.refuse_version()
    digests = iter(_digests(ctx, [one for one in sources if isinstance(one, Path)]))
    known = [next(digests) if isinstance(one, Path) else "" for one in sources]
    keys = [f"sha256:{id}" if isinstance(one, Path) else one.key for one, id in zip(sources, known, strict=True)]
    names = [str(one) if isinstance(one, Path) else one.url for one in sources]

    @contextmanager
    def opened(scratch: Path, narrowed: bool) -> Iterator[Opened]:
        objects = [one for one in sources if not isinstance(one, Path)]
        fetched = iter(ingest_remote.fetch(ctx, objects, scratch))
        found = [
            (one, digest) if isinstance(one, Path) else next(fetched)
            for one, digest in zip(sources, known, strict=True)
        ]
        here = [(path, name) for (path, _), name in zip(found, names, strict=True)]
        with files(here, asked)(scratch, narrowed) as table:
            yield replace(table, settled=lambda: _inputs(sources, [digest for _, digest in found]))

    key = None if None in keys else [keys, [csv_dialect.tabbed(name) for name in names], asked.format]
    return Origin(names[0], _inputs(sources, known), key, opened)


def _inputs(sources: Sequence[Path | Remote], digests: Sequence[str]) -> list[Input]:
    """What a manifest says of files and objects."""
    return [
        Input("file", f"sha256:{found}", str(one))
        if isinstance(one, Path)
        else Input("object", f"sha256:{found}", one.ref)
        for one, found in zip(sources, digests, strict=True)
    ]


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
