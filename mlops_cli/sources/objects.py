"""Prefixes of object stores: s3://, gs:// and az://, listed once, their images fetched one by one."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError, PreconditionError
from obstore.store import from_url

from mlops_cli import logs
from mlops_cli.errors import InputUnusable, Missing, Outside
from mlops_cli.sources import image_files
from mlops_cli.sources.image_files import MOST_BYTES, SIDECARS, Collection, Entry, Unreadable, hidden, suffix

_HOW = "credentials and endpoint come from the environment (AWS_…, GOOGLE_…, AZURE_…) or the usual files"
_CHUNK = 4 << 20
_RETRIES: Any = {"max_retries": 4}


class Prefix:
    """The objects below a URL, as they were when it was listed. Errors: Missing without any, Outside."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._store = _store(self.url)
        with _outside(url):
            metas = [meta for batch in obstore.list(self._store) for meta in batch]
        if not metas:
            raise Missing(f"{url}: there is no object below it", "a prefix ends where a / is in the objects' names")
        self._metas: dict[str, Mapping[str, Any]] = {meta["path"]: meta for meta in metas if not hidden(meta["path"])}
        self.images = sorted(path for path in self._metas if suffix(path) in image_files.IMAGES)
        self.ignored = len(metas) - len(self.images)

    @property
    def key(self) -> list[list[Any]] | None:
        """What decides what is read: every image and sidecar with its ETag and size; None when there are no ETags."""
        read = [
            path for path in sorted(self._metas) if path in set(self.images) or PurePosixPath(path).name in SIDECARS
        ]
        found = [[path, self._metas[path].get("e_tag"), self._metas[path]["size"]] for path in read]
        return None if any(tag is None for _, tag, _ in found) else found

    @contextmanager
    def opened(self, scratch: Path) -> Iterator[Collection]:
        """The images, each fetched when it is read."""
        del scratch
        entries = [Entry(path, self._metas[path]["size"], self._read(path)) for path in self.images]
        names = [path for path in self._metas if PurePosixPath(path).name in SIDECARS]
        sidecars = {path: partial(self._fetch, path) for path in names}
        name = PurePosixPath(self.url.partition("://")[2]).name
        yield Collection(name, entries, sidecars, self.ignored - len(sidecars), remote=True)

    def _read(self, path: str) -> Callable[[], bytes]:
        """How an image is read."""
        size = self._metas[path]["size"]
        return image_files.refused(image_files.too_large(size)) if size > MOST_BYTES else partial(self._fetch, path)

    def _fetch(self, path: str) -> bytes:
        """The bytes of an object as it was listed."""
        try:
            with _outside(f"{self.url}/{path}"):
                got = obstore.get(self._store, path, options={"if_match": self._metas[path].get("e_tag")})
                return bytes(got.bytes())
        except Missing:
            raise Unreadable("the object is gone") from None


class Single:
    """One object, which is copied to disk to be opened. Missing when there is none, Outside."""

    def __init__(self, url: str) -> None:
        self.url = url
        above, _, self.name = url.rpartition("/")
        if not self.name or above.endswith(("/", ":")):
            raise Missing(f"{url}: there is no object below it")
        self._store = _store(above)
        with _outside(url):
            meta = obstore.head(self._store, self.name)
        self._tag = meta.get("e_tag")
        self.key = None if self._tag is None else [url, self._tag, meta["size"]]

    def copy(self, target: Path) -> None:
        """Write the object, as it was when it was looked at, to a file."""
        with _outside(self.url), target.open("wb") as file:
            for part in obstore.get(self._store, self.name, options={"if_match": self._tag}).stream(_CHUNK):
                file.write(part)


def _store(url: str) -> Any:
    """The store of a URL, everything in it named from there."""
    with _outside(url):
        return from_url(url, config=_config(url), retry_config=_RETRIES)


@contextmanager
def _outside(what: str) -> Iterator[None]:
    """Turn what a store answers into an error of one line without secrets."""
    try:
        yield
    except (NotFoundError, FileNotFoundError):
        raise Missing(f"{logs.redact(what)}: there is no such object") from None
    except PreconditionError:
        raise InputUnusable(f"{logs.redact(what)} has changed while it was being read", "run it again") from None
    except (BaseError, OSError, ValueError) as error:
        if "NoSuchBucket" in str(error):
            raise Missing(f"{logs.redact(what)}: there is no such bucket") from None
        raise Outside(f"{logs.redact(what)}: {_line(error)}", _HOW) from None


def _line(error: BaseException) -> str:
    """The gist of a message that may hold a debug print of many lines."""
    code = re.search(r"<Code>(\w+)</Code>", str(error))
    text = " ".join(re.split(r"Debug source:|: <\?xml", str(error))[0].split())
    return logs.redact(text)[:300] + (f" ({code[1]})" if code else "")


def _config(url: str) -> Any:
    """What AWS's credentials file says when the environment does not; other stores read their own files."""
    if not url.startswith("s3") or os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    path = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read(path)
        section = file[os.environ.get("AWS_PROFILE") or "default"]
    except (configparser.Error, KeyError, OSError, UnicodeDecodeError):
        return {}
    wanted = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return {name: section[name] for name in wanted if section.get(name)}
