"""URLs that a user names, looked at once in a command: images or the objects of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING

from mlops_cli.errors import Missing, MissingExtra, WrongKind
from mlops_cli.sources import remote
from mlops_cli.sources.image_files import IMAGES, SIDECARS, hidden, suffix
from mlops_cli.sources.remote import Remote
from mlops_cli.steps.context import Context

if TYPE_CHECKING:
    from mlops_cli.sources.objects import Prefix
    from mlops_cli.sources.stores import Stored

FORMAT = "images"
"""What `--format` calls them."""

_AT_ONCE = 4
"""So many objects are copied side by side."""

_LAKES = {
    "Delta Lake": re.compile(r"(?:^|/)_delta_log/\d+\.(?:json|checkpoint)"),
    "Iceberg": re.compile(r"(?:^|/)metadata/[^/]*\.metadata\.json"),
}


@dataclass(frozen=True)
class Looked:
    """What is at a URL: images below it, one object with images, or else the objects of a table."""

    prefix: Prefix | None = None
    single: Remote | None = None
    objects: tuple[Remote, ...] = ()


def look(ctx: Context, url: str, format: str | None) -> Looked:
    """What is at a URL; listed or asked for once. Errors: Usage, Missing, WrongKind, Outside, MissingExtra."""
    key = f"{format or ''} {url}"
    if key not in ctx.looked:
        remote.check(url)
        ctx.looked[key] = _web(url, format) if remote.scheme(url) in remote.WEB else _store(url, format)
    found: Looked = ctx.looked[key]
    return found


def _web(url: str, format: str | None) -> Looked:
    """A file on the web."""
    from mlops_cli.sources import web

    return _single(web.look(url), format)


def _single(found: Remote, format: str | None) -> Looked:
    """One object: images by its name, unless a format is asked for."""
    images = remote.is_image(found.name) if format is None else format == FORMAT
    return Looked(single=found) if images else Looked(objects=(found,))


def _store(url: str, format: str | None) -> Looked:
    """An object, or those below a prefix or with names like a pattern."""
    try:
        from mlops_cli.sources import objects, stores
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "obstore", "objects") from None
    listed = stores.below(url)
    if not listed and remote.is_pattern(url):
        raise Missing(f"{url}: no object matches")
    if not listed:
        try:
            return _single(stores.head(url), format)
        except Missing as missing:
            if "bucket" in missing.message:
                raise
            hint = "a prefix ends where a / is in the objects' names"
            raise Missing(f"{url}: there is no such object, and none below it", hint) from None
    if format == FORMAT or (format is None and _are_images(url, listed)):
        prefix = objects.Prefix(url, listed)
        if not prefix.images:
            raise WrongKind(f"{url}: there is no image among the objects below it")
        return Looked(prefix)
    return Looked(objects=_table(url, listed, format))


def _are_images(url: str, listed: Sequence[Stored]) -> bool:
    """Whether objects are images; WrongKind for images and tables side by side."""
    there = [one.path for one in listed if not hidden(one.path)]
    image = next((path for path in there if suffix(path) in IMAGES), None)
    table = next((one for one in there if remote.is_data(one) and PurePosixPath(one).name not in SIDECARS), None)
    if image and table:
        ending = "".join(PurePosixPath(table).suffixes[-2:])
        hint = f"--format {FORMAT}, or '{url.rstrip('/')}/*{ending}'"
        raise WrongKind(f"{url}: there are images below it ({image}) and tables ({table})", hint)
    return image is not None


def _table(url: str, listed: Sequence[Stored], format: str | None) -> tuple[Remote, ...]:
    """The objects of a table: those that are called like one, all of them when the format is said or a pattern."""
    from mlops_cli.sources.stores import folder

    start = len(folder(url))
    names = {one.path[start:].lstrip("/"): one for one in listed if one.size}
    lake = next((kind for kind, log in _LAKES.items() if any(log.search(name) for name in names)), None)
    if lake:
        raise WrongKind(f"{url} is a table of {lake}: which of its files count is in its log", "say one by its name")
    there = {name: one for name, one in names.items() if not any(part[0] in "._" for part in name.split("/"))}
    every = format or remote.is_pattern(url)
    chosen = tuple(one for name, one in there.items() if every or remote.is_data(name))
    if not chosen:
        raise WrongKind(f"{url}: there is no table among the {len(listed):,} objects below it", "--format csv")
    return chosen


def fetch(ctx: Context, objects: Sequence[Remote], scratch: Path) -> list[tuple[Path, str]]:
    """Copy objects to `scratch`, a few at a time: where each is now, its SHA-256. Errors: those of `Remote.copy`."""
    done, lock = 0, Lock()
    sizes = [one.size for one in objects]
    total = None if None in sizes else sum(size or 0 for size in sizes)

    def progress(size: int) -> None:
        nonlocal done
        with lock:
            done += size
            ctx.progress("downloading", done, total)

    def copy(number: int) -> tuple[Path, str]:
        target = scratch / f"object-{number}"
        return target, objects[number].copy(target, progress)

    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        return list(pool.map(copy, range(len(objects))))
    finally:
        pool.shutdown(cancel_futures=True)
