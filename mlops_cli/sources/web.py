"""Files on the web, over https:// and http://: looked at with a request for one byte, then read as a stream."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from mlops_cli import logs
from mlops_cli.errors import InputUnusable, Missing, MlopsError, Outside

TIMEOUT = 30.0
"""Seconds that a server may be silent."""
TRIES = 4
"""So often a request is made at most before it is given up; after bytes have come, they are counted anew."""
PAUSE = 0.5
"""Seconds before the second try, twice as many before each further one."""

_CHUNK = 1 << 20
_AGAIN = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Page:
    """A file as a server described it: `address` is where it was asked for, with all that signs it."""

    address: str
    url: str
    size: int | None
    tag: str | None
    ranges: bool
    """Whether the server gives a part of it when asked."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(unquote(urlsplit(self.address).path)).name

    @property
    def key(self) -> list[Any] | None:
        """What decides its bytes; None without an ETag."""
        return None if self.tag is None else [self.address, self.tag, self.size]

    @property
    def ref(self) -> str:
        """The URL with the ETag."""
        return f"{self.url}#etag={self.tag.removeprefix('W/').strip(chr(34))}" if self.tag else self.url

    def copy(self, target: Path, progress: Callable[[int], None]) -> str:
        """Write the bytes to a file, going on where a connection breaks; their SHA-256."""
        digest, have, tries, stream = hashlib.sha256(), 0, 1, self._stream(0)
        with target.open("wb") as file:
            while True:
                try:
                    data = next(stream, b"")
                except (http.client.HTTPException, OSError) as error:
                    if tries >= TRIES or (have and not self.ranges):
                        raise Outside(f"{self.url} broke off after {have:,} bytes: {_line(error)}") from None
                    time.sleep(PAUSE * 2**tries)
                    stream, tries = self._stream(have), tries + 1
                    continue
                if not data:
                    return digest.hexdigest()
                file.write(data)
                digest.update(data)
                progress(len(data))
                have, tries = have + len(data), 1

    def _stream(self, start: int) -> Iterator[bytes]:
        """The bytes from one on. InputUnusable when it is no more what it was; what http.client raises."""
        with _asked(self.address, self.url, f"bytes={start}-" if start else None) as answer:
            length = answer.headers.get("Content-Length")
            left = int(length) if length and length.isdigit() else None
            differs = self.size is not None and left is not None and left + start != self.size
            if (self.tag and answer.headers.get("ETag") != self.tag) or differs or (start and answer.status != 206):
                raise InputUnusable(f"{self.url} has changed while it was being read", "run it again")
            while data := answer.read1(_CHUNK):
                yield data
                left = None if left is None else left - len(data)
            if left:  # http.client takes a connection that was closed for the end
                raise http.client.IncompleteRead(b"", left)


def look(address: str) -> Page:
    """What is at an address. Missing, Outside."""
    url = logs.redact(address)
    if not urlsplit(address).hostname:
        raise Missing(f"{url}: there is no host in it")
    with _asked(address, url, "bytes=0-0") as answer:
        part = re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range") or "")
        length = answer.headers.get("Content-Length") if answer.status == 200 else part and part[1]
        size = int(length) if length and length.isdigit() else None
        return Page(address, url, size, answer.headers.get("ETag"), answer.status == 206)


class _Redirects(HTTPRedirectHandler):
    """Follows a server to another address, but not to an unprotected one from a protected one."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        """The request for the new address."""
        if urlsplit(newurl).scheme not in ("https", req.type):
            raise Outside(f"{logs.redact(req.full_url)} sends on to {logs.redact(newurl)}, which is not protected")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    """Speaks https and http, and nothing else: no file, no ftp."""
    return build_opener(ProxyHandler(), _Redirects())


@contextmanager
def _asked(address: str, url: str, part: str | None) -> Iterator[Any]:
    """The answer of a server, asked again while it is busy. Missing, InputUnusable, Outside."""
    headers = {"User-Agent": "mlops", "Accept-Encoding": "identity"} | ({"Range": part} if part else {})
    request = Request(quote(address, safe="%/:=&?~#+!$,;'@()*[]"), headers=headers)  # http and https only
    tries = 0
    while True:
        tries += 1
        try:
            answer = _opener().open(request, timeout=TIMEOUT)
            break
        except HTTPError as error:
            if error.code == 416 and part == "bytes=0-0":  # an empty file has no first byte
                answer = error
                break
            error.close()
            if error.code not in _AGAIN or tries >= TRIES:
                raise _refusal(url, error) from None
        except (URLError, http.client.HTTPException, OSError, ValueError) as error:
            if tries >= TRIES or isinstance(error, ValueError):
                raise Outside(f"{url}: {_line(error)}") from None
        time.sleep(PAUSE * 2 ** (tries - 1))
    with answer:
        yield answer


def _refusal(url: str, error: HTTPError) -> MlopsError:
    """What a server's answer means."""
    if error.code in (404, 410):
        return Missing(f"{url}: there is no such file on the server ({error.code})")
    if error.code in (401, 403):
        hint = "use a signed URL, or pipe it in: curl --netrc URL | mlops ingest -"
        return Outside(f"{url}: the server does not let us read it ({error.code} {error.reason})", hint)
    return Outside(f"{url}: the server answered {error.code} {error.reason}")


def _line(error: BaseException) -> str:
    """The gist of an error of the network."""
    reason = error.reason if isinstance(error, URLError) else error
    text = str(reason) or type(reason).__name__
    return logs.redact(" ".join(text.split()))[:200]
