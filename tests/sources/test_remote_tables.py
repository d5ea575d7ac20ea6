"""Tables in object stores, against real servers on this machine: what a local file does, an object does too."""

from __future__ import annotations

import gzip
import json
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from mlops_cli.errors import InputUnusable
from mlops_cli.sources import remote
from mlops_cli.store.artefact import open_artefact

obstore = pytest.importorskip("obstore")
pytest.importorskip("moto.server")

PUBLIC = {"x-amz-acl": "public-read", "Content-Type": "text/plain"}
TABLE = pl.DataFrame({"n": range(1000), "text": [f"v{number % 7}" for number in range(1000)]})
WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "csv": lambda frame, path: frame.write_csv(path),
    "csv.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.write_csv().encode())),
    "ndjson": lambda frame, path: frame.write_ndjson(path),
    "parquet": lambda frame, path: frame.write_parquet(path),
    "arrow": lambda frame, path: frame.write_ipc(path),
}


def pieces(work: Path, ending: str, *frames: pl.DataFrame) -> dict[str, bytes]:
    """Files of a format, as they are put into a store."""
    found = {}
    for number, frame in enumerate(frames):
        path = work / f"part{number}.{ending}"
        WRITERS[ending](frame, path)
        found[path.name] = path.read_bytes()
    return found


def rows(ref: str) -> pl.DataFrame:
    return pl.read_parquet(open_artefact(Path(ref)).tables())


@pytest.mark.parametrize("ending", list(WRITERS))
def test_an_object_a_prefix_and_a_pattern(
    cli: Callable[..., Any], work: Path, put: Callable[..., None], ending: str
) -> None:
    files = pieces(work, ending, TABLE.head(400), TABLE.tail(600))
    put(f"{ending}/", files | {"_SUCCESS": b"", "notes.txt": b"not a table", "sub/.hidden.csv": b"x"})
    local = cli("ingest", *(str(work / name) for name in files)).ref
    for names in (
        [f"s3://road/{ending}/"],
        [f"s3://road/{ending}/part*"],
        [f"s3://road/**/part[0-9].{ending}"],
        [f"s3://road/{ending}/part0.{ending}", str(work / f"part1.{ending}")],
    ):
        made = cli("ingest", *names, "--force").ref
        assert open_artefact(Path(made)).id == open_artefact(Path(local)).id
        assert rows(made).equals(TABLE)


def test_is_found_again_by_the_etag_and_stands_in_the_manifest_by_its_digest(
    cli: Callable[..., Any], work: Path, put: Callable[..., None]
) -> None:
    files = pieces(work, "csv", TABLE)
    put("known/", files)
    made = cli("ingest", "s3://road/known/part0.csv", "-o", "made")
    (source,) = open_artefact(Path(made.ref)).manifest.inputs
    digest = cli("ingest", "part0.csv", "--json").out
    assert source.kind == "object"
    assert source.id == json.loads(digest)["files"][0]["id"]
    assert source.ref.startswith("s3://road/known/part0.csv#etag=")
    assert "cached" in cli("ingest", "s3://road/known/part0.csv").err
    put("known/", {"part0.csv": files["part0.csv"] + b"1000,new\n"})
    again = cli("ingest", "s3://road/known/part0.csv", "-o", "made")
    assert "cached" not in again.err
    assert rows(again.ref).height == 1001


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("s3://road/none/x.csv", 4, "missing: s3://road/none/x.csv: there is no such object, and none below it"),
        ("s3://road/none/*.csv", 4, "missing: s3://road/none/*.csv: no object matches"),
        ("s3://nobody/x.csv", 4, "missing: s3://nobody/x.csv: there is no such bucket"),
        ("s3://road/x.csv?versionId=1", 2, "usage: the URL of an object has no query"),
        ("s3://key:secret@road/x.csv", 2, "usage: credentials do not belong in a URL"),
        ("s3://road/other/", 4, "kind: s3://road/other/: there is no table among the 2 objects below it"),
        ("s3://road/lake/", 4, "kind: s3://road/lake/ is a table of Delta Lake"),
        ("s3://road/web.csv", 4, "corrupt: s3://road/web.csv is an HTML page"),
        ("s3://road/empty.csv", 4, "empty: s3://road/empty.csv is empty"),
    ],
)
def test_what_is_refused(cli: Callable[..., Any], put: Callable[..., None], name: str, code: int, message: str) -> None:
    put("", {"other/a.txt": b"a\n", "other/b.log": b"b\n", "web.csv": b"<!DOCTYPE html><p>no", "empty.csv": b""})
    put("lake/", {"_delta_log/00000000000000000000.json": b"{}", "a.parquet": b"PAR1"})
    ended = cli("ingest", name)
    assert (ended.code, ended.out, len(ended.err.splitlines()) <= 2) == (code, "", True)
    assert ended.err.startswith(f"mlops ingest: {message}")
    assert "secret" not in ended.err


def test_two_formats_below_one_prefix(cli: Callable[..., Any], work: Path, put: Callable[..., None]) -> None:
    put("two/", {"a.csv": b"n\n1\n", "b.ndjson": b'{"n":2}\n', "c.txt": b"n\n3\n"})
    ended = cli("ingest", "s3://road/two/")
    assert (ended.code, "files of several formats: csv, ndjson" in ended.err) == (4, True)
    put("named/", {"c.txt": b"n\n3\n"})
    assert rows(cli("ingest", "s3://road/named/", "--format", "csv").ref)["n"].to_list() == [3]


def test_an_object_that_changes_meanwhile(put: Callable[..., None], tmp_path: Path, monkeypatch: Any) -> None:
    from mlops_cli.sources import stores

    monkeypatch.setattr(stores, "CHUNK", 4)
    put("moving/", {"a.csv": b"n\n1\n2\n3\n4\n"})
    found = stores.head("s3://road/moving/a.csv")
    found.copy(tmp_path / "whole", lambda size: None)
    assert (tmp_path / "whole").read_bytes() == b"n\n1\n2\n3\n4\n"
    put("moving/", {"a.csv": b"n\n1\n2\n3\n5\n"})
    with pytest.raises(InputUnusable, match=r"s3://road/moving/a.csv has changed while it was being read"):
        found.copy(tmp_path / "whole", lambda size: None)


def test_a_store_that_is_silent_is_outside(
    cli: Callable[..., Any], put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from mlops_cli.sources import stores

    monkeypatch.setattr(stores, "RETRIES", {"max_retries": 1})
    monkeypatch.setenv("AWS_TIMEOUT", "200ms")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        ended = cli("ingest", "s3://road/x.csv")
    assert (ended.code, len(ended.err.splitlines())) == (8, 2)
    assert "outside: s3://road/x.csv" in ended.err


def test_images_and_tables_do_not_go_together(cli: Callable[..., Any], put: Callable[..., None]) -> None:
    from pictures import FRAMES

    put("both/", {"a.jpg": FRAMES["north/car/a.jpg"], "t/a.csv": b"n\n1\n"})
    ended = cli("ingest", "s3://road/both/a.jpg", "s3://road/both/t/a.csv")
    assert (ended.code, "s3://road/both/t/a.csv is a table, s3://road/both/a.jpg is not" in ended.err) == (4, True)
    ended = cli("ingest", "s3://road/both/a.jpg", "--format", "csv")
    assert (ended.code, len(ended.err.splitlines()) <= 2) == (4, True)


def test_azure(
    cli: Callable[..., Any], work: Path, azurite: str, monkeypatch: pytest.MonkeyPatch, shell: Callable[..., Any]
) -> None:
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # azurite's own
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "devstoreaccount1")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", key)
    monkeypatch.setenv("AZURE_ENDPOINT", f"{azurite}/devstoreaccount1")
    monkeypatch.setenv("AZURE_ALLOW_HTTP", "true")
    made = obstore.store.AzureStore("road", client_options={"allow_http": True})
    import azure_container

    azure_container.create(azurite, "devstoreaccount1", key, "road")
    for name, data in pieces(work, "csv.gz", TABLE.head(1), TABLE.tail(999)).items():
        obstore.put(made, f"logs/{name}", data)
    ended = cli("ingest", "az://road/logs/", "-o", "out")
    assert rows(ended.ref).equals(TABLE)
    assert [source.ref.partition("#")[0] for source in open_artefact(Path("out")).manifest.inputs] == [
        "az://road/logs/part0.csv.gz",
        "az://road/logs/part1.csv.gz",
    ]
    assert "cached" in cli("ingest", "az://road/logs/*.gz", "-o", "out").err
    missing = cli("ingest", "az://nobody/x.csv")
    assert (missing.code, "there is no such bucket" in missing.err) == (4, True)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=")
    wrong = cli("ingest", "az://road/logs/")
    assert (wrong.code, len(wrong.err.splitlines()), "d3Jvbmc" in wrong.err) == (8, 2, False)


def test_google(cli: Callable[..., Any], work: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's XML protocol is that of S3 where objects are public, so that a server of S3 answers it."""
    for name in [name for name in os.environ if name.startswith("GOOGLE_")]:
        monkeypatch.delenv(name)
    nobody = dict.fromkeys(["client_email", "private_key", "private_key_id"], "")
    Path("key.json").write_text(json.dumps({"gcs_base_url": server, "disable_oauth": True} | nobody))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", "key.json")
    files = {f"open/logs/{name}": data for name, data in pieces(work, "csv", TABLE.head(10), TABLE.tail(990)).items()}
    for name, data in ({"open": b""} | files).items():
        request = urllib.request.Request(f"{server}/{name}", data, PUBLIC, method="PUT")
        urllib.request.urlopen(request).close()
    ended = cli("ingest", "gs://open/logs/*.csv", "-o", "out")
    assert rows(ended.ref).equals(TABLE)
    assert {source.ref.partition("#")[0] for source in open_artefact(Path("out")).manifest.inputs} == {
        f"gs://{name}" for name in files
    }
    assert "cached" in cli("ingest", "gs://open/logs/", "-o", "out").err
    missing = cli("ingest", "gs://open/none.csv")
    assert (missing.code, "there is no such object" in missing.err) == (4, True)


@pytest.mark.parametrize(
    ("name", "data", "image"),
    [
        ("a.csv", True, False),
        ("a/B.CSV.GZ", True, False),
        ("a.parquet", True, False),
        ("a.zst", False, False),
        ("a.jpg", False, True),
        ("a.tar.gz", False, True),
        ("a.tgz", False, True),
        ("gz", False, False),
        ("", False, False),
    ],
)
def test_what_an_object_is_by_its_name(name: str, data: bool, image: bool) -> None:
    assert (remote.is_data(name), remote.is_image(name)) == (data, image)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("logs/*.csv", ["logs/a.csv", "logs/.csv"], ["logs/a/b.csv", "logs/a.csv.gz", "xlogs/a.csv"]),
        ("**/a.csv", ["a.csv", "x/a.csv", "x/y/a.csv"], ["xa.csv"]),
        ("a[0-9].c+v", ["a1.c+v"], ["ab.c+v", "a1.ccv"]),
        ("a[!0-9]*", ["ab", "a-x"], ["a1", "ab/c"]),
    ],
)
def test_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    found = remote.pattern(pattern)
    assert [name for name in (*yes, *no) if found.fullmatch(name)] == yes


def test_no_secret_of_a_signed_address_is_kept(cli: Callable[..., Any], put: Callable[..., None], work: Path) -> None:
    put("signed/", {"a.csv": b"n\n1\n"})
    import datetime

    url = obstore.sign(obstore.store.S3Store("road"), "GET", "signed/a.csv", datetime.timedelta(minutes=5))
    assert "X-Amz-Signature" in url
    ended = cli("ingest", url, "-o", "out")
    assert rows(ended.ref)["n"].to_list() == [1]
    kept = (work / "out" / "manifest.json").read_text()
    assert "Amz" not in kept + ended.out + ended.err
    assert "signed/a.csv?***#etag=" in kept
    assert msgspec.json.decode(kept)["inputs"][0]["kind"] == "object"
