"""Images in an object store: those below a URL, listed once and fetched one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from mlops_cli.errors import Missing
from mlops_cli.sources import image_files
from mlops_cli.sources.image_files import MOST_BYTES, SIDECARS, Collection, Entry, Unreadable, hidden, suffix
from mlops_cli.sources.stores import Stored, folder


class Prefix:
    """Objects below a URL, as they were when they were listed."""

    def __init__(self, url: str, listed: Sequence[Stored]) -> None:
        self.url = url.rstrip("/")
        start = len(folder(url))
        found = {one.path[start:].lstrip("/"): one for one in listed}
        self._objects = {path: one for path, one in found.items() if not hidden(path)}
        self.images = sorted(path for path in self._objects if suffix(path) in image_files.IMAGES)
        self._sidecars = [path for path in sorted(self._objects) if PurePosixPath(path).name in SIDECARS]
        self.ignored = len(listed) - len(self.images)

    @property
    def key(self) -> list[list[Any]] | None:
        """What decides what is read: every image and sidecar with its ETag and size; None when there are no ETags."""
        read = sorted((*self.images, *self._sidecars))
        found = [[path, self._objects[path].tag, self._objects[path].size] for path in read]
        return None if any(tag is None for _, tag, _ in found) else found

    @contextmanager
    def opened(self, scratch: Path) -> Iterator[Collection]:
        """The images, each fetched when it is read."""
        del scratch
        entries = [Entry(path, self._objects[path].size, self._read(path)) for path in self.images]
        sidecars = {path: partial(self._fetch, path) for path in self._sidecars}
        name = PurePosixPath(self.url.partition("://")[2]).name
        yield Collection(name, entries, sidecars, self.ignored - len(sidecars), remote=True)

    def _read(self, path: str) -> Callable[[], bytes]:
        """How an image is read."""
        size = self._objects[path].size
        return image_files.refused(image_files.too_large(size)) if size > MOST_BYTES else partial(self._fetch, path)

    def _fetch(self, path: str) -> bytes:
        """The bytes of an object as it was listed."""
        try:
            return self._objects[path].read()
        except Missing:
            raise Unreadable("the object is gone") from None
