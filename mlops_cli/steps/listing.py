"""What the registry holds: models, versions and aliases. Names are listed, files opened only for what is shown."""

from __future__ import annotations

import msgspec

from mlops_cli.errors import Missing
from mlops_cli.steps.context import Context
from mlops_cli.store import records, registry
from mlops_cli.store.registry import Registry


class Model(msgspec.Struct, frozen=True):
    """A model's line: its name, newest version, and what its aliases name."""

    name: str
    newest: int
    aliases: dict[str, int]


class Registered(msgspec.Struct, frozen=True):
    """A version's line."""

    ref: str
    at: str
    by: str
    owner: str
    aliases: list[str]
    note: str
    id: str


def models(ctx: Context) -> list[Model]:
    """All models, by name."""
    store = registry.locate(ctx.registry)
    return [Model(name, store.newest(name), _aliases(store, name)) for name in store.models()]


def versions(ctx: Context, name: str, limit: int) -> list[Registered]:
    """The newest versions of a model, newest first, `limit` of them at most (0: all). Missing for an unknown model."""
    store = registry.locate(ctx.registry)
    records.check_name(name)
    newest = store.newest(name)
    if newest == 0:
        known = ", ".join(store.models()[:5]) or "nothing"
        raise Missing(f"the registry {store.bucket.url} has no model {name}", f"it has {known}")
    named = _aliases(store, name)
    last = max(0, newest - limit) if limit else 0
    return [_registered(store, name, number, named) for number in range(newest, last, -1)]


def _registered(store: Registry, name: str, number: int, named: dict[str, int]) -> Registered:
    """One version's line."""
    record = store.version(name, number)
    aliases = sorted(alias for alias, version in named.items() if version == number)
    return Registered(f"{name}@{number}", record.at, record.by, record.owner, aliases, record.note, record.id)


def _aliases(store: Registry, name: str) -> dict[str, int]:
    """What each alias of a model names now."""
    found = {alias: store.current(name, alias)[1] for alias in store.aliases(name)}
    return {alias: move.version for alias, move in found.items() if move}


def columns(rows: list[list[str]]) -> str:
    """Rows of cells in aligned columns; an empty cell is a dash."""
    cells = [[cell or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def model_rows(found: list[Model]) -> list[list[str]]:
    """Models as a table for people."""
    head = ["MODEL", "NEWEST", "ALIASES"]
    named = [" ".join(f"{alias}={number}" for alias, number in model.aliases.items()) for model in found]
    return [head, *([m.name, str(m.newest), text] for m, text in zip(found, named, strict=True))]


def version_rows(found: list[Registered]) -> list[list[str]]:
    """Versions as a table for people."""
    head = ["VERSION", "REGISTERED", "BY", "ALIASES", "NOTE"]
    return [head, *([v.ref, v.at[:19] + "Z", v.by, " ".join(v.aliases), v.note] for v in found)]
