"""Take data in: files, globs or standard input become a dataset, one Parquet table with its schema and origin.

Nothing heavy is imported before it is known that there is something to do, so that asking again is cheap in a Makefile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from mlops_cli.errors import EmptyInput, InputUnusable, Usage
from mlops_cli.sources.asked import Asked
from mlops_cli.steps import (
    ingest_files,
    ingest_images,
    ingest_named,
    ingest_origins,
    ingest_places,
    ingest_remote,
    ingest_since,
    ingest_tables,
    memo,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.ingest_since import Growth
from mlops_cli.steps.ingest_tables import Origin
from mlops_cli.steps.memo import Contents, Job, Outcome, Output, Verdict
from mlops_cli.steps.references import check_stop
from mlops_cli.steps.selection import TABLE, Selection
from mlops_cli.store import files
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.manifest import Input

if TYPE_CHECKING:
    from mlops_cli.steps.stream import TableStream

LIBRARIES = ("polars", "polars-runtime-32", "pyarrow")


@dataclass(frozen=True)
class Sources:
    """What is read: paths and globs, or `-` alone for what comes on `stdin`; `inputs` are called by a NAME=SOURCE."""

    names: tuple[str, ...]
    stdin: BinaryIO | None = None
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """`asked`: how the source is read; `selection`: what of it is taken; `images`: what is only asked of images;
    `target_schema`: the rules file or dataset that the selection's target was read from.

    `since` is a column: only rows that are new by it are added to what was taken before.
    """

    asked: Asked = field(default_factory=Asked)
    selection: Selection = field(default_factory=Selection)
    images: ingest_images.Options = field(default_factory=ingest_images.Options)
    target_schema: str | None = None
    since: str | None = None


def run(ctx: Context, sources: Sources, options: Options, output: Output) -> Outcome:
    """Make a dataset of images, or of files of one format with the same columns.

    Errors: those of reading; EmptyInput for no rows.
    """
    options.selection.check()
    if options.asked.format != ingest_remote.FORMAT:
        ingest_files.check_format(options.asked.format)
    for name in sources.names:
        check_stop(name)
        ingest_places.demand_known(name)
    if options.since is None:
        ingest_since.refuse_to_replace(ctx, output.out)
        return _run(ctx, sources, options, output)
    if options.selection.limit is not None:
        raise Usage("--limit and --since do not go together", "the rows that are left out would never be taken")
    if options.selection.dedupe:
        raise Usage("--dedupe and --since do not go together", "rows that were taken before would not be looked at")
    names = [*sources.names, *sources.inputs]
    taken = {"source": [ingest_places.lasting(name) for name in names], **_params(options)}
    with ingest_since.growing(ctx, options.since, taken, output.out) as growth:
        asked = replace(options.asked, since=None if options.selection.makes(options.since) else growth.since)
        try:
            outcome = _run(ctx, sources, replace(options, asked=asked), output, growth)
        except ingest_since.NothingNew:
            outcome = ingest_since.unchanged(growth)
        assert outcome.artefact is not None
        ingest_since.settled(ctx, growth, outcome.artefact, output.out)
        return msgspec.structs.replace(outcome, measured={**measured(outcome.artefact), "new": growth.new})


def _run(ctx: Context, sources: Sources, options: Options, output: Output, growth: Growth | None = None) -> Outcome:
    """Make a dataset, or add to one."""
    if sources.inputs:
        return _named(ctx, sources, options, output, growth)
    if "-" in sources.names:
        return _from_stdin(ctx, sources, options, output, growth)
    places = options.asked.query is not None or any(map(ingest_places.place, sources.names))
    named = None if places else ingest_origins.recognised(ctx, sources.names, options.asked.format)
    if named is not None:
        _demand_table(growth)
        options.asked.refuse_version()
        return ingest_images.run(ctx, named, options.images, options.selection, output)
    options.images.refuse(output.reject)
    found = ingest_tables.origin(ctx, sources.names, options.asked)
    return _perform(ctx, {TABLE: found}, options, output, growth)


def _demand_table(growth: Growth | None) -> None:
    """Refuse images where rows are added by a column."""
    if growth:
        raise Usage(
            "--since is for tables, and these are images", "leave it out: images are only read when they are new"
        )


def _from_stdin(ctx: Context, sources: Sources, options: Options, output: Output, growth: Growth | None) -> Outcome:
    """A dataset of what comes on standard input."""
    if len(sources.names) > 1:
        raise InputUnusable("standard input cannot be read together with files", "cat FILE… | mlops ingest -")
    with ingest_files.scratch() as scratch:
        path = _received(sources, scratch)
        named = ingest_origins.recognised(ctx, [str(path)], options.asked.format)
        if named is not None:
            _demand_table(growth)
            return ingest_images.run(ctx, named, options.images, options.selection, output, keyed=False)
        options.images.refuse(output.reject)
        return _perform(ctx, {TABLE: _spooled(path, options)}, options, output, growth)


def _named(ctx: Context, sources: Sources, options: Options, output: Output, growth: Growth | None) -> Outcome:
    """A dataset of tables that have a name each."""
    options.images.refuse(output.reject)
    wanted = ingest_named.tables(sources.names, sources.inputs)
    wanted = ingest_named.used(wanted, options.selection.sql)
    with ingest_files.scratch() as scratch:
        found = ingest_named.origins(ctx, wanted, options.asked, lambda: _spooled(_received(sources, scratch), options))
        return _perform(ctx, found, options, output, growth)


def _received(sources: Sources, scratch: Path) -> Path:
    """Standard input as a file. EmptyInput without any."""
    if sources.stdin is None:
        raise EmptyInput(f"there is no {ingest_files.STDIN}")
    return ingest_files.receive(sources.stdin, scratch)


def _spooled(path: Path, options: Options) -> Origin:
    """What came on standard input, which is always read."""
    inputs = [Input("stdin", f"sha256:{files.digest(path)}", "-"), *_lineage(path)]
    opener = ingest_tables.files([(path, ingest_files.STDIN)], options.asked)
    return Origin(ingest_files.STDIN, inputs, None, opener)


def _lineage(path: Path) -> list[Input]:
    """What a stream says that it was made from; nothing for other data."""
    with path.open("rb") as file:
        if file.read(4) != b"\xff\xff\xff\xff":
            return []
        file.seek(0)
        from mlops_cli.steps.stream import Reader

        try:
            return msgspec.convert(Reader(file).lineage.get("inputs", []), list[Input])
        except msgspec.ValidationError:
            return []


def _perform(
    ctx: Context, origins: Mapping[str, Origin], options: Options, output: Output, growth: Growth | None = None
) -> Outcome:
    """Convert tables, by the name that they have in a query, to one, unless that has been done."""
    keys = {name: origin.key for name, origin in origins.items()}
    key = None if None in keys.values() or growth else [keys, _params(options)]
    if growth:
        growth.demand_new([one for origin in origins.values() for one in origin.inputs])

    def build(payload: Path, rejects: Path) -> Contents:
        del rejects
        from mlops_cli.steps import ingest_build

        built = ingest_build.build(ctx, origins, options.selection, payload, growth)
        formats = list(dict.fromkeys(built.formats.values()))
        params = {**_params(options), "format": ", ".join(formats), "rows": built.written.rows}
        if options.target_schema:
            params["target_schema"] = options.target_schema
        if options.selection.dedupe:
            params["dropped"] = built.dropped
        if growth:
            params |= growth.params(built.inputs)
        inputs = [*built.inputs, *(growth.lineage() if growth else [])]
        return Contents("dataset", inputs, params, schema=dict(built.written.schema))

    def judge(made: Artefact) -> Verdict:
        if growth:
            growth.check(made)
        verdict = told(made)
        if not (growth and growth.before):
            return verdict
        return Verdict(lines=(*verdict.lines, f"{_count(growth.new, 'row')} of them new"))

    told = _told(options.selection)
    return memo.perform(ctx, Job("ingest", key, LIBRARIES, build, judge, measured), output)


def stream(ctx: Context, sources: Sources, options: Options, reject: str | None = None) -> TableStream:
    """The dataset as a stream: it is made in the workspace first, so that nothing goes out before all has been read."""
    from mlops_cli.steps import tables

    outcome = run(ctx, sources, options, Output(reject=reject))
    made = outcome.artefact
    assert made is not None
    table = tables.from_artefact(made, Input(made.kind, made.id, memo.shown(made.path)))
    summary = outcome.measured
    return tables.to_stream(table.frame, tables.lineage_of(ctx, table), lambda: outcome.verdict, lambda: summary)


def measured(made: Artefact) -> dict[str, Any]:
    """The numbers of a dataset: rows, columns, schema, and what it was read from."""
    sources = [{"ref": source.ref, "id": source.id} for source in made.manifest.inputs]
    schema, rows = made.manifest.schema, made.manifest.params.get("rows")
    if rows is None:  # the same table was there already, made by something else
        import pyarrow.parquet as pq

        rows = sum(pq.read_metadata(path).num_rows for path in made.tables())
    found = {"rows": rows, "columns": len(schema), "schema": schema, "files": sources}
    dropped = made.manifest.params.get("dropped")
    return found if dropped is None else found | {"dropped": dropped}


def _told(selection: Selection) -> Callable[[Artefact], Verdict]:
    """Lines for people."""

    def told(made: Artefact) -> Verdict:
        found = measured(made)
        lines = [f"{_count(found['rows'], 'row')}, {_count(found['columns'], 'column')}"]
        if selection.dedupe and "dropped" in found:
            lines.insert(0, _deduped(selection, found["rows"], found["dropped"]))
        return Verdict(lines=tuple(lines))

    return told


def _deduped(selection: Selection, rows: int, dropped: int) -> str:
    """What became of the rows that have their key in common."""
    kept = f"{dropped:,} dropped, the {selection.keep} row of each {', '.join(selection.dedupe)} kept"
    return kept if selection.limit is not None else f"{_count(rows + dropped, 'row')} = {rows:,} + {kept}"


def _count(number: int, thing: str) -> str:
    """`1 row`, `336,776 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _params(options: Options) -> dict[str, Any]:
    """What decides the result besides the files."""
    asked = {"format": options.asked.format, "query": options.asked.query}
    return {**asked, **options.selection.params}
