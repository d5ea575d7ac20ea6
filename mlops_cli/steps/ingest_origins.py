"""From what a user named to sources of images: directories, archives, files and videos, prefixes of object stores."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_cli import logs
from mlops_cli.errors import MissingExtra, WrongKind
from mlops_cli.sources import image_files, remote
from mlops_cli.sources.image_files import VIDEOS, Collection, Entry, Kind, Opener, suffix
from mlops_cli.sources.remote import Remote
from mlops_cli.steps import ingest_files, ingest_places, ingest_remote
from mlops_cli.steps.context import Context
from mlops_cli.steps.ingest_remote import FORMAT, Looked
from mlops_cli.store import artefact, manifest
from mlops_cli.store.manifest import Input

if TYPE_CHECKING:
    from fractions import Fraction


@dataclass(frozen=True)
class Named:
    """What a user named: where it is, and what it is. `looked` instead of a path for what is read over a network."""

    name: str
    kind: Kind | str
    path: Path = Path()
    looked: Looked | None = None


@dataclass(frozen=True)
class Origin:
    """A source of images that was looked at and not read: `key` is its share of a memo key, None when it has none."""

    inputs: list[Input]
    key: object | None
    opener: Opener

    def opened(self, scratch: Path) -> AbstractContextManager[Collection]:
        """Its images; errors as those of the source."""
        return self.opener(scratch)


def recognised(ctx: Context, names: Sequence[str], format: str | None) -> list[Named] | None:
    """What is named, when it is images; None when it is a table. WrongKind for both, or a directory of neither."""
    if format not in (None, FORMAT):
        return None
    found = [one for name in names for one in _named(ctx, name, format)]
    tables = [one for one in found if one.kind == "table"]
    if tables and len(tables) < len(found):
        other = next(one for one in found if one.kind != "table")
        raise WrongKind(f"{tables[0].name} is a table, {other.name} is not", "ingest each kind by itself")
    if tables and format == FORMAT:
        raise WrongKind(f"{tables[0].name} is no image, and no archive or video", "leave out --format images")
    return None if tables else found


def _named(ctx: Context, name: str, format: str | None) -> Iterator[Named]:
    """The files, directories and URLs that one argument means."""
    if remote.scheme(name):
        looked = ingest_remote.look(ctx, name, format)
        yield Named(logs.redact(name), "table" if looked.objects else "remote", looked=looked)
        return
    name = ingest_files.local(name)
    if ingest_places.place(name):
        yield Named(name, "table")
        return
    if Path(name).is_dir():
        # Of an artefact `ingest_files.expand` says that it is not ingested again.
        yield Named(name, "table" if artefact.is_artefact(Path(name)) else "directory", Path(name))
        return
    if not Path(name).exists() and not glob.has_magic(name):
        yield Named(name, "table")  # `ingest_files.expand` says that it is not there
        return
    folders = [path for path in map(Path, sorted(glob.glob(name, recursive=True))) if path.is_dir()]  # noqa: PTH207
    if folders and not any(Path(match).is_file() for match in glob.iglob(name, recursive=True)):  # noqa: PTH207
        yield from (Named(str(path), "directory", path) for path in folders)
        return
    for path in ingest_files.expand([name]):
        yield Named(str(path), image_files.kind(path, str(path)) or ("image" if format else "table"), path)


def origins(ctx: Context, named: Sequence[Named], fps: Fraction) -> list[Origin]:
    """The sources in the order they are named; files that are named one by one count as one directory, at the end."""
    found: list[Origin] = []
    loose: dict[Path, Kind | str] = {}
    for one in named:
        if one.kind == "directory":
            found.append(_directory(ctx, one, fps))
        elif one.looked:
            found.append(_remote(one.name, one.looked, fps))
        elif one.kind in ("tar", "zip"):
            found.append(_archive(ctx, one))
        else:
            loose[one.path] = one.kind
    if loose:
        found.append(_files(ctx, loose, fps))
    return found


def _directory(ctx: Context, named: Named, fps: Fraction) -> Origin:
    """A directory with all that is below it; WrongKind when there is no image."""
    folder = named.path
    names, sidecars, ignored = image_files.listed(folder)
    if not names:
        hint = f"mlops ingest '{named.name.rstrip('/')}/*.csv'"
        raise WrongKind(f"{named.name} is a directory without images", hint)
    videos = {name for name in names if suffix(name) in VIDEOS}
    return _tree(ctx, folder, named.name, names, videos, fps, sidecars, ignored)


def _files(ctx: Context, paths: Mapping[Path, Kind | str], fps: Fraction) -> Origin:
    """Image files and videos, named below the directory that they have in common."""
    root = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    kinds = {path.absolute().relative_to(root).as_posix(): kind for path, kind in paths.items()}
    videos = {name for name, kind in kinds.items() if kind == "video"}
    ref = os.path.relpath(root) if root.is_relative_to(Path.cwd()) else str(root)
    origin = _tree(ctx, root, ref, sorted(kinds), videos, fps)
    if len(paths) > 1:
        return origin
    (path,) = paths
    return Origin([Input("file", f"sha256:{ctx.workspace.digest(path)}", str(path))], origin.key, origin.opener)


def _tree(
    ctx: Context,
    folder: Path,
    ref: str,
    names: list[str],
    videos: Set[str],
    fps: Fraction,
    sidecars: Sequence[str] = (),
    ignored: int = 0,
) -> Origin:
    """Files below a directory. Its key is the sorted list of (path, digest)."""
    digests = dict(zip([*names, *sidecars], ctx.workspace.digests(folder, [*names, *sidecars]), strict=True))
    listing = sorted((name.encode(errors="backslashreplace").decode(), one) for name, one in digests.items())
    name = folder.resolve().name
    if videos:
        _demand_video()

    @contextmanager
    def opened(scratch: Path) -> Iterator[Collection]:
        del scratch
        entries = [_video(folder, one, fps) if one in videos else _image(folder, one, digests[one]) for one in names]
        found = {one: partial(image_files.read_file, folder / one) for one in sidecars}
        yield Collection(name, entries, found, ignored)

    return Origin([Input("directory", manifest.sha256(manifest.canonical(listing)), ref)], [name, listing], opened)


def _image(folder: Path, name: str, digest: str) -> Entry:
    """An image file in a directory."""
    path = folder / name
    return Entry(name, path.stat().st_size, partial(image_files.read_file, path), digest)


def _video(folder: Path, name: str, fps: Fraction) -> Entry:
    """A video in a directory, whose frames are read when their turn comes."""

    def frames() -> Iterator[Entry]:
        from mlops_cli.sources import video

        return video.frames(folder / name, name, fps)

    return Entry(name, 0, image_files.refused("a video"), frames=frames)


def _archive(ctx: Context, named: Named) -> Origin:
    """A tar or zip archive."""
    digest = ctx.workspace.digest(named.path)
    opener = partial(_opened, named.kind, named.path, named.name)
    return Origin([Input("file", f"sha256:{digest}", named.name)], [named.path.name, digest], opener)


def _opened(kind: Kind | str, path: Path, name: str, scratch: Path) -> AbstractContextManager[Collection]:
    """The images of an archive."""
    from mlops_cli.sources import archives

    return (archives.tar if kind == "tar" else archives.zip)(path, name, scratch)


def _remote(name: str, looked: Looked, fps: Fraction) -> Origin:
    """The images at a URL: below it, or in the one object there."""
    if looked.single:
        return _single(looked.single, fps)
    assert looked.prefix
    listing: Any = looked.prefix.key
    id = manifest.sha256(manifest.canonical(listing if listing is not None else looked.prefix.images))
    return Origin([Input("prefix", id, name)], None if listing is None else [name, listing], looked.prefix.opened)


def _single(single: Remote, fps: Fraction) -> Origin:
    """One object: an archive, an image or a video, copied to a temporary file when it is opened."""

    @contextmanager
    def opened(scratch: Path) -> Iterator[Collection]:
        folder = scratch / "object"
        folder.mkdir()
        path = folder / (single.name or "object")
        single.copy(path, lambda size: None)
        kind = image_files.kind(path, single.name)
        if kind is None:
            raise WrongKind(f"{single.url} is no image, archive of images or video", "unpack a table there first")
        if kind in ("tar", "zip"):
            with _opened(kind, path, single.url, scratch) as collection:
                yield collection
            return
        if kind == "video":
            _demand_video()
        yield Collection("", [_video(folder, path.name, fps) if kind == "video" else _image(folder, path.name, "")])

    id = manifest.sha256(manifest.canonical(single.key or single.url))
    return Origin([Input("object", id, single.ref)], single.key, opened)


def _demand_video() -> None:
    """MissingExtra when there is a video and nothing to decode it with."""
    import importlib.util

    if importlib.util.find_spec("av") is None:
        raise MissingExtra.of("av (PyAV)", "video")
