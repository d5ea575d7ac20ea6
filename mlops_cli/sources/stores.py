"""Object stores (s3://, gs://, az://) through obstore: what is in them, and the bytes of an object as it was listed."""

from __future__ import annotations

import configparser
import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError, PreconditionError
from obstore.store import from_url

from mlops_cli import logs
from mlops_cli.errors import InputUnusable, Missing, Outside
from mlops_cli.sources.remote import is_pattern, pattern

CHUNK = 4 << 20
"""An object is fetched in pieces of so many bytes, each tried again by itself when the network fails."""

RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=90)}
"""How often and how long a request is made again; one that takes longer than 30 seconds is broken off."""

_AHEAD = 4
_HOW = "credentials and endpoint come from the environment (AWS_…, GOOGLE_…, AZURE_…) or the usual files"


@dataclass(frozen=True)
class Stored:
    """An object as it was listed: its `path` in a store, its ETag and version as far as the store has them."""

    url: str
    path: str
    size: int
    tag: str | None
    version: str | None
    store: Any = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    @property
    def key(self) -> list[Any] | None:
        """What decides its bytes; None without an ETag."""
        return None if self.tag is None else [self.url, self.tag, self.version, self.size]

    @property
    def ref(self) -> str:
        """The URL with the version, or the ETag."""
        if self.version:
            return f"{self.url}#version={self.version}"
        return f"{self.url}#etag={self.tag.strip(chr(34))}" if self.tag else self.url

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """Some of the bytes, all of them by default. InputUnusable when it has changed, Missing, Outside."""
        options: dict[str, Any] = {"if_match": self.tag} if self.tag else {}
        if end is not None:
            options["range"] = (start, end)
        with outside(self.url):
            got = obstore.get(self.store, self.path, options=options)  # type: ignore[arg-type]
            data = bytes(got.bytes())
        if len(data) != (self.size if end is None else end - start):
            raise changed(self.url)
        return data

    def copy(self, target: Path, progress: Callable[[int], None]) -> str:
        """Write the bytes to a file, some pieces ahead; their SHA-256."""
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for data in self._pieces():
                file.write(data)
                digest.update(data)
                progress(len(data))
        return digest.hexdigest()

    def _pieces(self) -> Iterator[bytes]:
        """The bytes in order."""
        if self.size <= CHUNK:
            yield self.read()
            return
        waiting: deque[Future[bytes]] = deque()
        pool = ThreadPoolExecutor(_AHEAD)
        try:
            for start in range(0, self.size, CHUNK):
                waiting.append(pool.submit(self.read, start, min(self.size, start + CHUNK)))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def head(url: str) -> Stored:
    """The object that a URL names. Missing when there is none, Outside."""
    root, path = _split(url)
    if not path or path.endswith("/"):
        raise Missing(f"{url}: there is no object below it")
    store = _store(root)
    with outside(url):
        return _stored(root, obstore.head(store, path), store)


def below(url: str) -> list[Stored]:
    """The objects below a URL, or those that a pattern matches, in the order of their names. Outside, Missing."""
    root, path = _split(url)
    store = _store(root)
    with outside(url):
        metas = [meta for batch in obstore.list(store, prefix=folder(url) or None) for meta in batch]
    if is_pattern(url):
        wanted = pattern(path)
        metas = [meta for meta in metas if wanted.fullmatch(meta["path"])]
    return sorted((_stored(root, meta, store) for meta in metas), key=lambda one: one.path)


def folder(url: str) -> str:
    """The path below which all objects of a URL lie: that of a prefix, or what stands before a pattern."""
    path = _split(url)[1]
    return re.split(r"[*\[]", path)[0].rpartition("/")[0] if is_pattern(url) else path.rstrip("/")


def changed(what: str) -> InputUnusable:
    """The error for an object that is no more what it was."""
    return InputUnusable(f"{logs.redact(what)} has changed while it was being read", "run it again")


def _stored(root: str, meta: Mapping[str, Any], store: Any) -> Stored:
    """An object from what a store says of it."""
    url = f"{root}/{meta['path']}"
    return Stored(url, meta["path"], meta["size"], meta.get("e_tag"), meta.get("version"), store)


def _split(url: str) -> tuple[str, str]:
    """`s3://bucket` and the path in it."""
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    return f"{scheme}://{bucket}", path.lstrip("/")


def _store(root: str) -> Any:
    """The store of a bucket or container."""
    with outside(root):
        return from_url(root, config=_config(root), retry_config=RETRIES)


@contextmanager
def outside(what: str) -> Iterator[None]:
    """Turn what a store answers into an error of one line without secrets."""
    try:
        yield
    except PreconditionError:
        raise changed(what) from None
    except (BaseError, OSError, ValueError) as error:
        gone = re.search(r"NoSuchBucket|ContainerNotFound", str(error))
        if gone or isinstance(error, NotFoundError | FileNotFoundError):
            raise Missing(f"{logs.redact(what)}: there is no such {'bucket' if gone else 'object'}") from None
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
