"""Files on the web, from a real server on this machine that behaves as badly as servers do."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlops_cli.errors import InputUnusable, Outside
from mlops_cli.sources import web
from mlops_cli.store.artefact import open_artefact

TABLE = b"n,text\n" + b"".join(b"%d,some text\n" % number for number in range(5000))


@dataclass
class Site:
    """What is served: `files` by path, with an ETag; `asked` are the requests; `ill` says how to misbehave."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    ill: dict[str, Any] = field(default_factory=dict)
    tag: str | None = '"one"'


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on this machine."""
    found = Site()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(web, "PAUSE", 0.01)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            _answer(self, found)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _answer(handler: http.server.BaseHTTPRequestHandler, site: Site) -> None:
    """One answer, as the site is told to give it."""
    part = handler.headers.get("Range")
    site.asked.append((handler.path, part))
    path, ill = handler.path.partition("?")[0], site.ill
    if ill.get("busy", 0) > 0:
        ill["busy"] -= 1
        handler.send_error(503)
        return
    if ill.get("code"):
        handler.send_error(ill["code"])
        return
    if path in ill.get("redirect", {}):
        handler.send_response(302)
        handler.send_header("Location", ill["redirect"][path])
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    if path not in site.files:
        handler.send_error(404)
        return
    _send(handler, site, site.files[path], part)


def _send(handler: http.server.BaseHTTPRequestHandler, site: Site, data: bytes, part: str | None) -> None:
    """The bytes of a file, or of the part that was asked for."""
    ill, code = site.ill, 200
    if part and not ill.get("no ranges"):
        start, _, end = part.removeprefix("bytes=").partition("-")
        if not data:
            handler.send_response(416)
            handler.send_header("Content-Range", "bytes */0")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        whole, data, code = len(data), data[int(start) : int(end) + 1 if end else None], 206
    handler.send_response(code)
    if code == 206:
        handler.send_header("Content-Range", f"bytes {start}-{int(start) + len(data) - 1}/{whole}")
    if site.tag:
        handler.send_header("ETag", site.tag)
    if not ill.get("no length"):
        handler.send_header("Content-Length", str(len(data)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    if part != "bytes=0-0" and ill.get("breaks", 0) > 0:
        ill["breaks"] -= 1
        data = data[: ill.get("after", 1000)]
    if part != "bytes=0-0" and ill.get("hangs"):
        handler.wfile.write(data[:100])
        handler.wfile.flush()
        ill["hangs"].wait(10)
        return
    handler.wfile.write(data)


def test_a_file_is_what_it_is_on_disk(cli: Callable[..., Any], work: Path, site: Site) -> None:
    (work / "a.csv").write_bytes(TABLE)
    site.files = {"/a.csv": TABLE, "/a%20b.csv.gz": gzip.compress(TABLE)}
    local = open_artefact(Path(cli("ingest", "a.csv").ref))
    ended = cli("ingest", f"{site.address}/a.csv", "-o", "out")
    made = open_artefact(Path(ended.ref))
    assert made.id == local.id
    (source,) = made.manifest.inputs
    assert (source.kind, source.id) == ("object", local.manifest.inputs[0].id)
    assert source.ref == f"{site.address}/a.csv#etag=one"
    count = len(site.asked)
    assert "cached" in cli("ingest", f"{site.address}/a.csv").err
    assert site.asked[count:] == [("/a.csv", "bytes=0-0")]
    assert open_artefact(Path(cli("ingest", f"{site.address}/a b.csv.gz").ref)).id == local.id
    both = cli("ingest", f"{site.address}/a.csv", "a.csv", "--json")
    assert '"rows":10000' in both.out


def test_what_has_no_etag_is_read_again(cli: Callable[..., Any], site: Site) -> None:
    site.files, site.tag = {"/a.csv": b"n\n1\n"}, None
    first = cli("ingest", f"{site.address}/a.csv")
    site.files["/a.csv"] = b"n\n2\n"
    second = cli("ingest", f"{site.address}/a.csv")
    assert first.ref != second.ref
    assert "cached" not in second.err


@pytest.mark.parametrize(
    "ill", [{"no length": True}, {"no ranges": True}, {"busy": 2}, {"no ranges": 1, "no length": 1}]
)
def test_servers_that_can_less(cli: Callable[..., Any], site: Site, ill: dict[str, Any]) -> None:
    site.files, site.ill = {"/a.csv": TABLE}, ill
    assert '"rows":5000' in cli("ingest", f"{site.address}/a.csv", "--json").out


def test_redirects_are_followed_but_not_to_files(cli: Callable[..., Any], work: Path, site: Site) -> None:
    (work / "secret.csv").write_bytes(b"n\n1\n")
    site.files = {"/a.csv": TABLE}
    site.ill["redirect"] = {
        "/x": "/a.csv",
        "/file": f"file://{work}/secret.csv",
        "/ftp": "ftp://127.0.0.1/x",
        "/r": "/r",
    }
    assert '"rows":5000' in cli("ingest", f"{site.address}/x", "--json").out
    for path in ("/file", "/ftp", "/r"):
        ended = cli("ingest", site.address + path)
        assert (ended.code, len(ended.err.splitlines()) <= 2) == (8, True)


def test_a_broken_connection_goes_on_where_it_broke(site: Site, tmp_path: Path) -> None:
    site.files = {"/a.csv": TABLE}
    page = web.look(f"{site.address}/a.csv")
    site.ill = {"breaks": 3, "after": 20_000}
    page.copy(tmp_path / "a", lambda size: None)
    assert (tmp_path / "a").read_bytes() == TABLE
    assert [part for _, part in site.asked] == ["bytes=0-0", None, "bytes=20000-", "bytes=40000-", "bytes=60000-"]


def test_a_connection_that_breaks_for_good_is_outside(cli: Callable[..., Any], site: Site) -> None:
    site.files, site.ill = {"/a.csv": TABLE}, {"breaks": 99, "after": 0}
    ended = cli("ingest", f"{site.address}/a.csv")
    assert (ended.code, len(ended.err.splitlines())) == (8, 1)
    site.ill = {"breaks": 99, "after": 500, "no ranges": True}
    ended = cli("ingest", f"{site.address}/a.csv")
    assert (ended.code, "broke off after 500 bytes" in ended.err) == (8, True)


def test_a_server_that_falls_silent_is_outside(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TIMEOUT", 0.1)
    site.files, site.ill = {"/a.csv": TABLE}, {"no ranges": True}
    page = web.look(f"{site.address}/a.csv")
    site.ill["hangs"] = threading.Event()
    try:
        with pytest.raises(Outside, match="broke off after 100 bytes: timed out"):
            page.copy(tmp_path / "a", lambda size: None)
    finally:
        site.ill["hangs"].set()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changes_meanwhile(site: Site, tmp_path: Path, ranges: bool) -> None:
    site.files, site.ill = {"/a.csv": TABLE}, {} if ranges else {"no ranges": True}
    page = web.look(f"{site.address}/a.csv")
    site.tag = '"two"'
    with pytest.raises(InputUnusable, match="has changed while it was being read"):
        page.copy(tmp_path / "a", lambda size: None)
    site.tag, site.files["/a.csv"] = '"one"', TABLE + b"1,x\n"
    with pytest.raises(InputUnusable, match="has changed while it was being read"):
        page.copy(tmp_path / "a", lambda size: None)


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("/none.csv", 4, "there is no such file on the server (404)"),
        ("/empty.csv", 4, "is empty"),
        ("/page.csv", 4, "is an HTML page"),
        ("/closed.csv?token=canary", 8, "the server does not let us read it (403"),
    ],
)
def test_what_is_refused(cli: Callable[..., Any], site: Site, path: str, code: int, message: str) -> None:
    site.files = {"/empty.csv": b"", "/page.csv": b"\n<html><body>", "/closed.csv": b"x"}
    site.ill["code"] = 403 if "closed" in path else None
    ended = cli("ingest", site.address + path)
    assert (ended.code, ended.out, len(ended.err.splitlines()) <= 2) == (code, "", True)
    assert message in ended.err
    assert "canary" not in ended.err


def test_addresses_that_make_no_sense(cli: Callable[..., Any], site: Site) -> None:
    host = site.address.removeprefix("http://")
    for url, code in ((f"http://me:canary@{host}/a.csv", 2), ("https:///x.csv", 4), ("http://127.0.0.1:1/x.csv", 8)):
        ended = cli("ingest", url)
        assert (ended.code, len(ended.err.splitlines()) <= 2, "canary" in ended.err) == (code, True, False)


def test_images_on_the_web(cli: Callable[..., Any], site: Site) -> None:
    from pictures import FRAMES
    from test_archives import tar

    site.files = {"/frames.tar": tar(FRAMES), "/a.jpg": FRAMES["north/car/a.jpg"], "/odd": FRAMES["north/car/a.jpg"]}
    assert "images in" in cli("ingest", f"{site.address}/frames.tar").err
    assert "1 images in = 1 rows" in cli("ingest", f"{site.address}/a.jpg").err
    assert "1 images in = 1 rows" in cli("ingest", f"{site.address}/odd", "--format", "images").err
    ended = cli("ingest", f"{site.address}/odd")
    assert (ended.code, len(ended.err.splitlines())) == (4, 2)


def test_the_other_commands_say_how(cli: Callable[..., Any], site: Site) -> None:
    site.files = {"/a.csv": b"n\n1\n"}
    ended = cli("split", f"{site.address}/a.csv")
    assert ended.code == 4
    assert ended.err.splitlines()[-1] == f"hint: mlops ingest '{site.address}/a.csv'"
