"""What lies at a URL: which URLs there are, and what is in an object by its name; nothing heavy is imported here."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Protocol

from mlops_cli.errors import Usage
from mlops_cli.sources.image_files import IMAGES, VIDEOS

STORES = ("s3", "s3a", "gs", "az", "abfs", "abfss", "azure")
WEB = ("https", "http")

_DATA = (".csv", ".tsv", ".tab", ".psv", ".ndjson", ".jsonl", ".json", ".parquet", ".pq", ".arrow", ".feather", ".ipc")
_PACKED = (".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tzst", ".txz", ".tbz", ".tbz2")


class Remote(Protocol):
    """One object that was looked at and not read."""

    @property
    def url(self) -> str:
        """Where it is, as it can be shown."""

    @property
    def name(self) -> str:
        """The last part of its path."""

    @property
    def size(self) -> int | None:
        """Its bytes, None when the server does not say."""

    @property
    def key(self) -> object | None:
        """What decides its bytes, such as its ETag; None when nobody can know."""

    @property
    def ref(self) -> str:
        """The URL with what tells this version of the object from others, for a manifest."""

    def copy(self, target: Path, progress: Callable[[int], None]) -> str:
        """Write the bytes to a file as they were when they were looked at, and return their SHA-256.

        InputUnusable when the object has changed meanwhile, Missing when it is gone, Outside. `progress` is told how
        many more bytes there are.
        """


def scheme(name: str) -> str | None:
    """The scheme of a URL that is read over a network; None for everything else."""
    found, there, _ = name.partition("://")
    return found.lower() if there and found.lower() in (*STORES, *WEB) else None


def check(url: str) -> None:
    """Usage for a URL with credentials in it; the query of a web address may sign it, and is never shown."""
    kind = scheme(url)
    before, _, _ = url.partition("?")
    authority = before.partition("://")[2].partition("/")[0]
    user, there, _ = authority.rpartition("@")
    if there and (":" in user or kind not in ("abfs", "abfss")):
        raise Usage("credentials do not belong in a URL, which everybody can see", _instead(kind))
    if kind in STORES and "?" in url:
        raise Usage("the URL of an object has no query; * and [abc] stand for many of them", _instead(kind))


def _instead(kind: str | None) -> str:
    """Where credentials belong."""
    if kind in WEB:
        return "use a signed URL, or pipe it in: curl --netrc URL | mlops ingest -"
    return "put them into the environment: AWS_…, GOOGLE_…, AZURE_…"


def is_data(name: str) -> bool:
    """Whether an object is called like a table, compressed or not."""
    path = PurePosixPath(name.lower())
    return (path.with_suffix("") if path.suffix in _PACKED and path.stem else path).suffix in _DATA


def is_image(name: str) -> bool:
    """Whether an object is called like an image, a video or an archive."""
    path = PurePosixPath(name.lower())
    packed = path.suffix in _PACKED and path.stem.endswith(".tar")
    return packed or path.suffix in (*IMAGES, *VIDEOS, *_ARCHIVES)


def is_pattern(url: str) -> bool:
    """Whether a URL stands for many objects."""
    return scheme(url) in STORES and any(sign in url for sign in "*[")


def pattern(path: str) -> re.Pattern[str]:
    """What a pattern of objects' names matches: `*` within one part of a path, `**` across them."""
    parts = re.split(r"(\*\*/?|\*)", path)
    many = {"*": "[^/]*", "**": ".*", "**/": "(?:.*/)?"}
    return re.compile("".join(many.get(part) or _literal(part) for part in parts))


def _literal(part: str) -> str:
    """A piece of a pattern without stars, as a regular expression."""
    return fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z")
