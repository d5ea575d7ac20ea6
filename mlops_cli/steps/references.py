"""From what a command was pointed at to the artefact that is meant: paths, registered names, and walking back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from mlops_cli import logs
from mlops_cli.errors import EmptyInput, Missing, MlopsError, Stopped, Usage, WrongKind
from mlops_cli.steps.context import Context
from mlops_cli.store import artefact, manifest, registry
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.manifest import Input

_REGISTERED = re.compile(r"(?:models:/)?([a-z0-9][a-z0-9._-]{0,63})(?:[@/]([a-z0-9][a-z0-9._-]{0,63}))?")
_STOP = re.compile(r"mlops:stop:(\d{1,3}):(\S+)")


class Stdin(msgspec.Struct, frozen=True):
    """Data on standard input: `kind` is arrow (a stream), feather, parquet or ndjson; `file` is at its first byte."""

    kind: str
    file: BinaryIO


class Given(msgspec.Struct, frozen=True):
    """What a command was pointed at: a reference, or data on standard input, or nothing."""

    ref: str | None = None
    stdin: Stdin | None = None


class Resolved(msgspec.Struct, frozen=True):
    """An artefact, and the registered name and version it was asked for by, if it was."""

    artefact: Artefact
    ref: str
    name: str | None = None
    version: int | None = None
    alias: str | None = None

    @property
    def input(self) -> Input:
        """The line for the manifest of what is made from it."""
        return Input(self.artefact.kind, self.artefact.id, self.ref)


def registered(ref: str) -> tuple[str, str | None] | None:
    """The name and the version or alias in a reference to a registered model; None for one that is no such name."""
    found = _REGISTERED.fullmatch(ref)
    return None if found is None else (found[1], found[2])


def check_stop(ref: str) -> None:
    """End as a command before us ended, when its stop line came as an argument or through the pipe."""
    stop = _STOP.fullmatch(ref.strip())
    if stop:
        raise Stopped(int(stop[1]), stop[2])


def resolve(ctx: Context, given: Given, *kinds: str, flag: str = "") -> Resolved:
    """The artefact of one of `kinds` that `given` means, walking back from a later kind (evaluation → model → split).

    `flag` is what would say the missing ancestor. Errors: Usage without input, Missing, WrongKind.
    """
    ref = _text(given, kinds)
    found = _lookup(ctx, ref, kinds)
    if not kinds or found.artefact.kind in kinds:
        return _intact(found) if kinds else found
    back = ancestor(ctx, found.artefact, kinds, flag)
    if back is None:
        raise WrongKind(f"{ref} is a {found.artefact.kind}, not a {' or '.join(kinds)}", _how(kinds))
    return _intact(Resolved(back, ref, found.name, found.version, found.alias))


def _intact(found: Resolved) -> Resolved:
    """A model is checked whenever it is named, since a result that is known already would not load it."""
    if found.artefact.kind == "model":
        artefact.check(found.artefact)
    return found


def ancestor(ctx: Context, start: Artefact, kinds: tuple[str, ...], flag: str = "") -> Artefact | None:
    """The nearest ancestor of one of `kinds`, by id; None when there is none, Missing when it is out of reach."""
    queue, seen = [start], {start.id}
    lost = None
    while queue:
        holder = queue.pop(0)
        for source in holder.manifest.inputs:
            if source.id in seen or source.kind not in artefact.KINDS:
                continue
            seen.add(source.id)
            found = reach(ctx, source)
            if found is None:
                lost = lost or source
            elif found.kind in kinds:
                return found
            else:
                queue.append(found)
    if lost is not None:
        hint = f"say it with {flag}" if flag else "it was moved or collected; make it again"
        raise Missing(f"{lost.kind} {lost.ref} ({lost.id[:19]}…) is not within reach of {start.path}", hint)
    return None


def reach(ctx: Context, source: Input) -> Artefact | None:
    """An input by its id: where it was recorded if the id there still agrees, the workspace, then the registry."""
    try:
        found = artefact.open_artefact(Path(source.ref))
        if found.id == source.id:
            return found
    except (MlopsError, OSError, ValueError):
        pass  # it is looked for elsewhere
    found_here = ctx.workspace.find(source.id)
    if found_here:
        return found_here
    name = _REGISTERED.fullmatch(source.ref)
    try:
        if name and name[2]:
            stored = _registered(ctx, name[1], name[2], source.ref).artefact
            return stored if stored.id == source.id else None
    except MlopsError:
        pass  # not in the registry either
    return None


def lineage(ctx: Context, start: Artefact) -> list[dict[str, Any]]:
    """The manifests of all ancestors within reach, nearest first, each once, as they stand on disk."""
    queue, seen, found = list(start.manifest.inputs), {start.id}, []
    while queue:
        source = queue.pop(0)
        if source.id in seen or source.kind not in artefact.KINDS:
            continue
        seen.add(source.id)
        parent = reach(ctx, source)
        if parent:
            found.append(msgspec.json.decode((parent.path / manifest.NAME).read_bytes()))
            queue.extend(parent.manifest.inputs)
    return found


def is_file(given: Given) -> Path | None:
    """The bare data file that a reference names, if it names one."""
    if given.ref is None:
        return None
    path = Path(given.ref)
    return path if path.is_file() and path.name != manifest.NAME else None


def _text(given: Given, kinds: tuple[str, ...]) -> str:
    """The reference of what was given."""
    if given.ref is not None:
        check_stop(given.ref)
        return given.ref
    if given.stdin:
        raise WrongKind("a table came on standard input, not a reference", _how(kinds))
    raise Usage("nothing to work on", f"name {_article(kinds)}, or pipe its reference in")


def _lookup(ctx: Context, ref: str, kinds: tuple[str, ...]) -> Resolved:
    """A path that exists wins over a name."""
    if not ref:
        raise EmptyInput("an empty reference", "the command before it printed nothing")
    path = Path(ref)
    if path.name == manifest.NAME and path.is_file():
        path = path.parent  # what a Makefile has in $<
    if artefact.is_artefact(path):
        return Resolved(artefact.open_artefact(path), ref)
    if path.exists():
        what = "a file, not an artefact" if path.is_file() else "a directory without manifest.json, not an artefact"
        table = path.is_file() and (not kinds or "dataset" in kinds)
        raise WrongKind(f"{ref} is {what}", f"mlops ingest {ref}" if table else _how(kinds))
    name = _REGISTERED.fullmatch(ref)
    if name is None:
        hint = f"mlops ingest '{logs.redact(ref)}'" if "://" in ref and "dataset" in kinds else ""
        raise Missing(f"{logs.redact(ref)}: no such file or artefact", hint)
    try:
        return _registered(ctx, name[1], name[2], ref)
    except Missing as error:
        if "@" in ref or ref.startswith("models:"):
            raise
        hint = "" if path.suffix else error.hint
        raise Missing(f"{ref}: no such file, artefact or registered model", hint) from None


def _registered(ctx: Context, name: str, which: str | None, ref: str) -> Resolved:
    """A registered version as an artefact."""
    store = registry.locate(ctx.registry)
    number = store.resolve(name, which)
    alias = which if which and not which.isdigit() else None
    return Resolved(store.object(store.version(name, number).object), f"{name}@{number}", name, number, alias)


def _article(kinds: tuple[str, ...]) -> str:
    """`a model`, `a split or dataset`; `an artefact` when any will do."""
    return f"a {' or '.join(kinds)}" if kinds else "an artefact"


def _how(kinds: tuple[str, ...]) -> str:
    """The command that makes the kind that was wanted."""
    made_by = {
        "dataset": "ingest",
        "split": "split",
        "model": "train",
        "evaluation": "evaluate",
        "predictions": "predict",
    }
    return f"mlops {made_by[kinds[0]]} makes one" if kinds and kinds[0] in made_by else ""
