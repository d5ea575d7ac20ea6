"""Prefixes of object stores, against a real server of S3's protocol on this machine."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import FRAMES, bomb, folder

from mlops_cli.errors import InputUnusable
from mlops_cli.store.artefact import open_artefact

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

SECRET = "canary-Zx81-secret"


def test_a_prefix_is_what_a_directory_is(cli: Callable[..., Any], work: Path, put: Callable[..., None]) -> None:
    put("day/", {**FRAMES, "notes.txt": b"x", "bad.jpg": b"no"})
    folder(work / "day", {**FRAMES, "notes.txt": b"x", "bad.jpg": b"no"})
    remote = cli("ingest", "s3://road/day/", "--max-bad", "1", "--reject", "bad.parquet", "-o", "remote")
    assert (remote.code, Path("bad.parquet").is_file()) == (0, True)
    assert "6 images in = 5 rows + 1 rejected" in remote.err
    assert "1 other file ignored" in remote.err
    local = cli("ingest", "day", "--max-bad", "1", "-o", "local")
    assert local.code == 0
    assert open_artefact(Path("remote")).id == open_artefact(Path("local")).id
    assert cli("ingest", "file://" + str(work / "day"), "--max-bad", "1").ref
    again = cli("ingest", "s3://road/day/", "--max-bad", "1")
    assert "cached" in again.err
    put("day/", {"north/car/new.jpg": FRAMES["north/car/a.jpg"]})
    assert "cached" not in cli("ingest", "s3://road/day/", "--max-bad", "1").err


def test_a_sidecar_among_the_objects(cli: Callable[..., Any], put: Callable[..., None]) -> None:
    put("hub/", {"a.jpg": FRAMES["north/car/a.jpg"], "metadata.csv": b"file_name,label,lane\na.jpg,truck,3\n"})
    ended = cli("ingest", "s3://road/hub", "--json")
    assert ended.code == 0
    assert '"truck":1' in ended.out
    assert '"lane":"int64"' in ended.out


def test_an_object_that_changes_meanwhile(put: Callable[..., None], tmp_path: Path) -> None:
    from mlops_cli.sources import stores
    from mlops_cli.sources.objects import Prefix

    put("moving/", {"a.jpg": b"1"})
    prefix = Prefix("s3://road/moving", stores.below("s3://road/moving"))
    put("moving/", {"a.jpg": b"2"})
    with prefix.opened(tmp_path) as found, pytest.raises(InputUnusable, match="has changed while it was being read"):
        found.entries[0].read()


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("s3://road/nothing/", 4, "missing: s3://road/nothing/: there is no such object, and none below it"),
        ("s3://elsewhere/x/", 4, "missing: s3://elsewhere/x/: there is no such bucket"),
        ("s3://texts/x/", 4, "missing: s3://texts/x/: there is no such bucket"),
        (f"s3://me:{SECRET}@road/x/", 2, "usage: credentials do not belong in a URL"),
    ],
)
def test_what_is_refused(cli: Callable[..., Any], put: Callable[..., None], url: str, code: int, message: str) -> None:
    ended = cli("ingest", url)
    assert (ended.code, ended.out) == (code, "")
    assert len(ended.err.splitlines()) <= 2
    assert ended.err.startswith(f"mlops ingest: {message}")


def test_one_object_is_an_archive_an_image_or_a_video(
    cli: Callable[..., Any], work: Path, put: Callable[..., None]
) -> None:
    from filming import filmed
    from test_archives import tar

    frames = folder(work / "frames", FRAMES)
    put("whole/", {"frames.tar": tar(FRAMES), "x.csv": b"a\n1\n"})
    put("whole/", {"a.jpg": FRAMES["north/car/a.jpg"], "v.mp4": filmed(work / "v.mp4").read_bytes()})
    local, remote = cli("ingest", str(frames)).ref, cli("ingest", "s3://road/whole/frames.tar").ref
    assert open_artefact(Path(local)).id == open_artefact(Path(remote)).id
    assert "cached" in cli("ingest", "s3://road/whole/frames.tar").err
    assert "1 images in = 1 rows" in cli("ingest", "s3://road/whole/a.jpg").err
    assert "4 images in = 4 rows" in cli("ingest", "s3://road/whole/v.mp4").err


def test_images_beside_tables_have_to_be_told_apart(cli: Callable[..., Any], put: Callable[..., None]) -> None:
    sidecar = b"file_name,label\na.jpg,x\n"
    put("mixed/", {"a.jpg": FRAMES["north/car/a.jpg"], "more.csv.gz": b"x", "metadata.csv": sidecar})
    ended = cli("ingest", "s3://road/mixed/")
    assert (ended.code, ended.err.splitlines()) == (
        4,
        [
            "mlops ingest: kind: s3://road/mixed/: there are images below it (mixed/a.jpg) "
            "and tables (mixed/more.csv.gz)",
            "hint: --format images, or 's3://road/mixed/*.csv.gz'",
        ],
    )
    assert "1 images in = 1 rows" in cli("ingest", "s3://road/mixed/", "--format", "images").err
    assert "1 images in = 1 rows" in cli("ingest", "s3://road/mix*/*.jpg").err


def test_no_image_below_a_prefix(cli: Callable[..., Any], put: Callable[..., None]) -> None:
    put("texts/", {"a.csv": b"a\n1\n"})
    ended = cli("ingest", "s3://road/texts/", "--format", "images")
    assert (ended.code, ended.err.splitlines()[0]) == (
        4,
        "mlops ingest: kind: s3://road/texts/: there is no image among the objects below it",
    )


def test_a_store_that_does_not_answer_is_outside_and_tells_no_secret(
    work: Path, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch, shell: Callable[..., Any]
) -> None:
    ended = shell("mlops ingest s3://road/day/", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert (ended.code, len(ended.err.splitlines())) == (8, 2)
    assert "outside: s3://road/day/" in ended.err
    put("safe/", {"a.jpg": FRAMES["north/car/a.jpg"], "b.png": bomb()})
    assert shell("mlops ingest s3://road/safe/ --max-bad 1 -o out").code == 0
    told = subprocess.run(["grep", "-rlF", SECRET, str(work)], capture_output=True, text=True, check=False)
    assert told.stdout == ""
    assert SECRET not in ended.err + ended.out


def test_credentials_from_the_usual_file(
    put: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops_cli.sources import stores

    path = tmp_path / "credentials"
    path.write_text("[default]\naws_access_key_id=a\naws_secret_access_key=b%c\n[other]\naws_access_key_id = o\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    assert stores._config("s3://x") == {"aws_access_key_id": "a", "aws_secret_access_key": "b%c"}
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert stores._config("s3://x") == {"aws_access_key_id": "o"}
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert stores._config("s3://x") == stores._config("gs://x") == {}
