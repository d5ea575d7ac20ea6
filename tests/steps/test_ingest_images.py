"""`mlops ingest` of images: rows, labels, times and cameras; what cannot be read; the same bytes whatever the way."""

import gzip
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import FRAMES, bomb, encoded, folder, noise, picture, taken
from PIL import Image

from mlops_cli.runtime import images
from mlops_cli.sources import archives
from mlops_cli.sources.image_files import Entry
from mlops_cli.sources.image_row import Measured, measure
from mlops_cli.steps import ingest_image_build, ingest_image_table, processors
from mlops_cli.store.artefact import open_artefact

Cli = Callable[..., Any]


def table(ref: str) -> pl.DataFrame:
    found = pl.read_parquet(open_artefact(Path(ref)).tables(), glob=False)
    return found.with_columns(path=pl.col("image").struct.field("path"))


def ident(ref: str) -> str:
    return open_artefact(Path(ref)).id


def test_a_directory(cli: Cli, work: Path) -> None:
    folder(work / "frames", {**FRAMES, "Thumbs.db": b"x", ".hidden/x.jpg": b"x", "notes/a.txt": b"x"})
    ended = cli("ingest", "frames", "-o", "data")
    assert ended.ref == "data"
    assert "5 images in = 5 rows + 0 rejected" in ended.err
    assert "3 other files ignored" in ended.err
    found = table("data")
    assert found["path"].to_list() == sorted(FRAMES)
    assert found["label"].to_list() == ["car", "car", "van", "car", "van"]
    assert found["camera"].to_list() == ["north"] * 3 + ["south"] * 2
    assert found["format"].to_list() == ["JPEG", "PNG", "JPEG", "JPEG", "WEBP"]
    assert found["time"].null_count() == 5
    for row in found.iter_rows(named=True):
        data = row["image"]["bytes"]
        seen = images.opened(data)
        assert data == FRAMES[row["path"]]
        assert (row["width"], row["height"], row["mode"]) == (40, 30, "RGB")
        assert row["phash"] == images.perceptual_hash(seen)
        assert {name: row[name] for name in images.STATISTICS} == images.statistics(seen)


def test_the_layout_is_the_documented_one(cli: Cli, work: Path) -> None:
    folder(work / "frames", FRAMES)
    cli("ingest", "frames", "-o", "data")
    schema = pq.read_schema(Path("data/part-00000.parquet"))
    assert schema.names == [
        "image", "label", "width", "height", "mode", "format", "sha256", "phash",
        "brightness", "contrast", "sharpness", "red", "green", "blue", "time", "camera",
    ]  # fmt: skip
    assert schema.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert schema.field("phash").type == pa.uint64()
    assert schema.field("time").type == pa.timestamp("us")
    assert schema.metadata[b"huggingface"] == b'{"info":{"features":{"image":{"_type":"Image"}}}}'
    manifest = open_artefact(Path("data")).manifest
    assert manifest.schema["image"] == "struct({'bytes': binary, 'path': string})"
    assert manifest.params["rows"] == 5


def test_what_is_written_from_images_says_that_it_holds_images(cli: Cli, work: Path) -> None:
    folder(work / "frames", FRAMES)
    ended = cli("ingest", "frames", "--columns", "label,image", "-o", "few")
    assert ended.code == 0
    schema = pq.read_schema(Path("few/part-00000.parquet"))
    assert schema.names == ["label", "image"]
    assert b"Image" in schema.metadata[b"huggingface"]


def packed(root: Path, kind: str) -> Path:
    """The directory as an archive."""
    path = root.with_suffix(f".{kind}")
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(root.rglob("*"), reverse=True):
                archive.write(file, file.relative_to(root.parent))
    else:
        with tarfile.open(path, "w:gz" if kind == "tgz" else "w") as tar:
            tar.add(root, root.name)
    return path


def test_the_same_images_are_the_same_dataset(cli: Cli, work: Path) -> None:
    frames = folder(work / "frames", {**FRAMES, "north/car/bad.jpg": b"no image"})
    cli("ingest", "frames", "--max-bad", "1", "-o", "data")
    ways = [str(packed(frames, kind)) for kind in ("tar", "tgz", "zip")]
    for source in (*ways, "frames/*/*/*", "./frames/", str(frames)):
        ended = cli("ingest", source, "--max-bad", "1")
        assert (source, ident(ended.ref)) == (source, ident("data"))
    ended = cli("ingest", "-", "--max-bad", "1", stdin=Path(ways[1]).read_bytes())
    assert ident(ended.ref) == ident("data")


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_bytes_do_not_follow_the_threads(cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """Mutant: results taken as they are done (`as_completed`) in `_measured`."""
    monkeypatch.setattr(processors, "count", lambda: threads)
    monkeypatch.setattr(ingest_image_build, "_CHUNK", 2)
    sizes = [(200 if n % 3 else 8) for n in range(60)]
    folder(work / "frames", {f"{n:03}.png": encoded(noise(n, size, size), "PNG") for n, size in enumerate(sizes)})
    found = table(cli("ingest", "frames", "--force").ref)
    assert found["width"].to_list() == sizes


def test_row_groups_follow_the_content(cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"{n:03}.png": picture(n, "PNG") for n in range(50)}
    folder(work / "frames", files)
    monkeypatch.setattr(ingest_image_table, "ROWS", 16)
    cli("ingest", "frames", "-o", "rows")
    groups = pq.ParquetFile("rows/part-00000.parquet").metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [16, 16, 16, 2]
    monkeypatch.setattr(ingest_image_table, "BYTES", 5 * len(files["000.png"]) - 100)
    cli("ingest", "frames", "-o", "bytes", "--force")
    groups = pq.ParquetFile("bytes/part-00000.parquet").metadata
    assert {groups.row_group(n).num_rows for n in range(groups.num_row_groups)} == {5}
    assert table("rows").equals(table("bytes"))


BAD = {
    "empty.jpg": (b"", "no bytes"),
    "text.jpg": (b"<html>404</html>", "not an image: it begins with the bytes 3c 68 74 6d"),
    "cut.jpg": (picture(1)[:-300], "truncated"),
    "cut.png": (picture(1, "PNG")[:-300], "truncated"),
    "bomb.png": (bomb(), "50000 × 50000 pixels are more than 50,000,000"),
    "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(100), "not an image"),
    "pickle.jpg": (b"\x80\x04\x95", "not an image"),
}


def test_what_cannot_be_read_is_set_aside_with_its_reason(cli: Cli, work: Path) -> None:
    folder(work / "frames", {name: data for name, (data, _) in BAD.items()} | {"good.jpg": picture()})
    ended = cli("ingest", "frames", "--reject", "bad.parquet", "-o", "data")
    assert (ended.code, ended.out) == (1, "")
    assert "8 images in = 1 rows + 7 rejected, more than --max-bad 1%" in ended.err
    assert not Path("data").exists()
    bad = pl.read_parquet("bad.parquet")
    assert bad.columns == ["path", "sha256", "bytes", "reason"]
    assert bad["path"].to_list() == sorted(BAD)
    for row in bad.iter_rows(named=True):
        data, reason = BAD[row["path"]]
        assert row["bytes"] == len(data)
        assert reason in row["reason"]
    again = cli("ingest", "frames", "--max-bad", "7", "--reject", "again.parquet", "-o", "data")
    assert (again.code, "cached" in again.err) == (0, True)
    assert pl.read_parquet("again.parquet").equals(bad)
    assert table("data").height == 1
    assert cli("ingest", "frames", "--max-bad", "87.5%").code == 0
    assert cli("ingest", "frames", "--max-bad", "0").code == 1


def test_nothing_but_rejects_is_no_pass_whatever_the_limit(cli: Cli, work: Path) -> None:
    folder(work / "frames", {"a.jpg": b"no"})
    assert cli("ingest", "frames", "--max-bad", "100%", "-o", "data").code == 1
    assert not Path("data").exists()


def test_a_name_that_lies_about_the_format_is_no_fault(cli: Cli, work: Path) -> None:
    folder(work / "frames", {"a.jpg": picture(1, "PNG"), "b.png": picture(1)})
    assert table(cli("ingest", "frames").ref)["format"].to_list() == ["PNG", "JPEG"]


def test_every_kind_of_image(cli: Cli, work: Path) -> None:
    rgb = noise()
    sideways = Image.Exif()
    sideways[0x0112] = 6
    grey16 = Image.fromarray((np.arange(1200).reshape(30, 40) * 50).astype(np.uint16))
    kinds = {
        "alpha.png": encoded(rgb.convert("RGBA"), "PNG"),
        "bits.png": encoded(rgb.convert("1"), "PNG"),
        "cmyk.jpg": encoded(rgb.convert("CMYK")),
        "deep.png": encoded(grey16, "PNG"),
        "deep.tiff": encoded(grey16, "TIFF"),
        "grey.jpg": encoded(rgb.convert("L")),
        "moving.gif": encoded(rgb, "GIF", save_all=True, append_images=[noise(1)]),
        "palette.png": encoded(rgb.convert("P"), "PNG"),
        "portable.ppm": encoded(rgb, "PPM"),
        "turned.jpg": encoded(rgb, exif=sideways),
        "windows.bmp": encoded(rgb, "BMP"),
    }
    folder(work / "frames", kinds)
    found = table(cli("ingest", "frames").ref)
    assert found["path"].to_list() == list(kinds)
    modes = dict(zip(found["path"], found["mode"], strict=True))
    assert modes["cmyk.jpg"] == "CMYK"
    assert modes["deep.png"].startswith("I;16")
    sizes = {row["path"]: (row["width"], row["height"]) for row in found.iter_rows(named=True)}
    assert sizes.pop("turned.jpg") == (30, 40)
    assert set(sizes.values()) == {(40, 30)}


def test_times(cli: Cli, work: Path) -> None:
    files = {
        "exif.jpg": picture(exif=taken("2026:03:01 14:05:10", "+02:00")),
        "exif.png": picture(1, "PNG", exif=taken("2026:03:01 14:05:10")),
        "exif_2020-01-01T00-00-00.jpg": picture(2, exif=taken("2026:03:01 14:05:10")),
        "name_2026-03-01T14-05-10.jpg": picture(3),
        "none.jpg": picture(4),
        "said.jpg": picture(5),
    }
    folder(work / "frames", files)
    Path("said.csv").write_text("path,time\nsaid.jpg,2026-03-01T16:00:00+02:00\nexif.jpg,1999-01-01T00:00:00Z\n")
    found = table(cli("ingest", "frames", "--label", "said.csv").ref)
    times = {row["path"]: row["time"] and str(row["time"]) for row in found.iter_rows(named=True)}
    assert times == {
        "exif.jpg": "2026-03-01 12:05:10",
        "exif.png": "2026-03-01 14:05:10",
        "exif_2020-01-01T00-00-00.jpg": "2026-03-01 14:05:10",
        "name_2026-03-01T14-05-10.jpg": "2026-03-01 14:05:10",
        "none.jpg": None,
        "said.jpg": "2026-03-01 14:00:00",
    }


@pytest.mark.parametrize(
    ("flags", "labels", "cameras"),
    [
        ([], ["car", "car", None], ["north", "west", None]),
        (["--label", "directory"], ["car", "car", "frames"], ["north", "west", None]),
        (["--label", "none"], [None, None, None], [None, "west", None]),
        (["--camera", "none"], ["car", "car", None], [None, None, None]),
        (["--camera", "name"], ["car", "car", None], [None, "west", None]),
        (["--camera", "directory"], ["car", "car", None], ["north", "north", None]),
        (["--camera", "directory", "--label", "none"], [None, None, None], ["car", "car", None]),
        (["--camera", "=gate 7"], ["car", "car", None], ["gate 7"] * 3),
    ],
)
def test_labels_and_cameras(cli: Cli, work: Path, flags: list[str], labels: list[Any], cameras: list[Any]) -> None:
    names = ["north/car/a.jpg", "north/car/west_20260301T140510.jpg", "plain.jpg"]
    folder(work / "frames", {name: picture(number) for number, name in enumerate(names)})
    found = table(cli("ingest", "frames", *flags).ref)
    assert found["path"].to_list() == names
    assert (found["label"].to_list(), found["camera"].to_list()) == (labels, cameras)


SIDECARS = {
    "l.csv": "file_name,label,speed,camera\na.jpg,car,3.5,east\nsub/b.jpg,7,,\ngone.jpg,van,1,\n",
    "l.ndjson": '{"path":"a.jpg","label":"car","speed":3.5,"camera":"east"}\n{"path":"./sub/b.jpg","label":"7"}\n'
    '{"path":"gone.jpg","label":"van"}\n',
    "l.json": '[{"image":"frames/a.jpg","class":"car","speed":3.5,"camera":"east"},'
    '{"image":"frames/sub/b.jpg","class":"7"},{"image":"gone.jpg","class":"van"}]',
}


@pytest.mark.parametrize("name", SIDECARS)
def test_a_sidecar(cli: Cli, work: Path, name: str) -> None:
    folder(work / "frames", {"a.jpg": picture(1), "sub/b.jpg": picture(2), "sub/c.jpg": picture(3)})
    Path(name).write_text(SIDECARS[name])
    ended = cli("ingest", "frames", "--label", name, "-o", "data")
    found = table("data")
    assert found["label"].to_list() == ["car", "7", None]
    assert found["speed"].to_list() == [3.5, None, None]
    assert found["camera"].to_list() == ["east", None, None]
    assert found.columns[-3:] == ["camera", "speed", "path"]
    assert f"{name}: 1 of 3 rows are of no image here and some images are not in it" in ended.err
    assert "2 labels, 1 without a label" in ended.err
    assert "cached" in cli("ingest", "frames", "--label", name).err
    Path(name).write_text(SIDECARS[name].replace("car", "truck"))
    assert table(cli("ingest", "frames", "--label", name).ref)["label"][0] == "truck"


def test_sidecars_as_the_hub_has_them(cli: Cli, work: Path) -> None:
    files = {
        "train/a.jpg": picture(1),
        "train/metadata.jsonl": b'{"file_name":"a.jpg","label":1,"width":9}\n',
        "test/b.jpg": picture(2),
        "test/metadata.csv": b"file_name,text\nb.jpg,a dog\n",
    }
    folder(work / "frames", files)
    ended = cli("ingest", "frames", "-o", "data")
    assert "width is left out, since images have it by themselves" in ended.err
    found = table("data")
    assert found["label"].to_list() == [None, "1"]
    assert found["text"].to_list() == ["a dog", None]
    assert found["width"].to_list() == [40, 40]
    found = table(cli("ingest", "frames", "--label", "directory").ref)
    assert (found["label"].to_list(), "text" in found.columns) == (["test", "train"], False)


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--label", "none.csv"], 4, "missing: --label none.csv: there is no such file"),
        (["--label", "nokey.csv"], 4, "schema: nokey.csv: no column says which image is meant"),
        (["--label", "twice.csv"], 4, "schema: twice.csv: two rows are of the image 'a.jpg'"),
        (["--camera", "north"], 2, "usage: --camera 'north' is no rule"),
        (["--fps", "0"], 2, "usage: --fps '0' is no number of frames a second"),
        (["--fps", "1/0"], 2, "usage: --fps '1/0' is no number of frames a second"),
        (["--max-bad", "many"], 2, "usage: --max-bad 'many' is no share"),
        (["--format", "csv"], 4, "kind: frames is a directory"),
        (["--limit", "0"], 2, "usage: --limit 0 leaves no rows"),
        (["--columns", "nothing"], 4, "column: --columns: there is no column 'nothing'"),
        (["--sql", "select label from data where width > 99"], 4, "empty: the selection leaves no rows"),
        (["table.csv"], 4, "kind: table.csv is a table, frames is not"),
    ],
)
def test_what_is_refused(cli: Cli, work: Path, flags: list[str], code: int, message: str) -> None:
    folder(work / "frames", {"a.jpg": picture()})
    Path("table.csv").write_text("a\n1\n")
    Path("nokey.csv").write_text("name,label\na.jpg,car\n")
    Path("twice.csv").write_text("path,label\na.jpg,car\n./a.jpg,van\n")
    ended = cli("ingest", "frames", *flags, "-o", "data")
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.splitlines()[0].startswith(f"mlops ingest: {message}")
    assert len(ended.err.splitlines()) <= 2
    assert not Path("data").exists()
    assert not [path for path in Path().rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.parametrize("flag", ["--label", "--camera", "--fps", "--reject", "--max-bad"])
def test_flags_of_images_are_refused_for_tables(cli: Cli, work: Path, flag: str) -> None:
    Path("x.csv").write_text("a\n1\n")
    for ended in (cli("ingest", "x.csv", flag, "1"), cli("ingest", "-", flag, "1", stdin=b"a\n1\n")):
        assert (ended.code, ended.err.splitlines()[0]) == (
            2,
            f"mlops ingest: usage: {flag} goes with images, and these are none",
        )


def test_selections(cli: Cli, work: Path) -> None:
    folder(work / "frames", {**FRAMES, "a.jpg": b"no image"})
    every = ("--max-bad", "1")
    counted = table_of(cli("ingest", "frames", "--sql", "select label, count(*) as n from data group by label", *every))
    assert counted.rows() == [("car", 3), ("van", 2)]
    first = cli("ingest", "frames", "--limit", "2", "--columns", "label,width", *every)
    assert table_of(first).rows() == [("car", 40), ("car", 40)]
    assert "3 images in = 2 rows + 1 rejected" in first.err


def table_of(ended: Any) -> pl.DataFrame:
    return pl.read_parquet(open_artefact(Path(ended.ref)).tables(), glob=False)


def test_a_stream(cli: Cli, shell: Callable[..., Any], work: Path) -> None:
    folder(work / "frames", FRAMES)
    ended = shell("mlops ingest frames -o - | mlops ingest - -o data")
    assert ended.code == 0, ended.err
    assert table("data")["path"].to_list() == sorted(FRAMES)
    folder(work / "frames", {"bad.jpg": b"no"})
    ended = shell("mlops ingest frames -o - --reject bad.parquet | mlops validate -o checked")
    assert (ended.code, Path("checked").exists(), Path("bad.parquet").exists()) == (1, False, True)


def test_several_sources(cli: Cli, work: Path) -> None:
    folder(work / "day1", {"car/a.jpg": picture(1)})
    folder(work / "day2", {"car/a.jpg": picture(2)})
    folder(work, {"one.jpg": picture(3)})
    found = table(cli("ingest", "day2", "day1", "one.jpg").ref)
    assert found["path"].to_list() == ["day2/car/a.jpg", "day1/car/a.jpg", "work/one.jpg"]
    assert found["label"].to_list() == ["car", "car", None]


def test_a_video_among_images(cli: Cli, work: Path) -> None:
    from filming import filmed

    folder(work / "frames", {"car/z.jpg": picture(1)})
    filmed(work / "frames/car/north_2026-03-01T14-05-10.mp4", 20)
    found = table(cli("ingest", "frames", "--fps", "2").ref)
    name = "car/north_2026-03-01T14-05-10.mp4"
    assert found["path"].to_list() == [f"{name}#t={t}" for t in ("0.000", "0.500", "1.000", "1.500")] + ["car/z.jpg"]
    assert found["label"].to_list() == ["car"] * 5
    assert found["camera"].to_list() == ["north"] * 4 + [None]
    assert str(found["time"][3]) == "2026-03-01 14:05:11.500000"
    assert cli("ingest", "frames", "--fps", "1").err.count("3 images in") == 1


def test_asking_again_costs_nothing_until_something_changes(cli: Cli, work: Path) -> None:
    frames = folder(work / "frames", FRAMES)
    first = cli("ingest", "frames", "-o", "data")
    assert "cached" not in first.err
    assert "cached" in cli("ingest", "frames", "-o", "data").err
    Path("frames/notes.txt").write_text("no image")
    assert "cached" in cli("ingest", "frames").err
    assert "cached" not in cli("ingest", "frames", "--camera", "none").err
    os.utime(frames / "north/car/a.jpg", (1, 1))
    assert "cached" in cli("ingest", "frames").err
    (frames / "north/car/a.jpg").rename(frames / "north/car/0.jpg")
    assert "cached" not in cli("ingest", "frames").err
    (frames / "north/car/b.png").write_bytes(picture(9, "PNG"))
    assert "cached" not in cli("ingest", "frames").err


def test_digests_are_remembered_and_never_wrongly(cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = folder(work / "frames", FRAMES)
    for path in frames.rglob("*.*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    cli("ingest", "frames")
    taken_of: list[str] = []
    from mlops_cli.store import files

    real = files.digest
    monkeypatch.setattr(files, "digest", lambda path: (taken_of.append(Path(path).name), real(path))[1])
    assert "cached" in cli("ingest", "frames").err
    assert taken_of == []
    (frames / "north/car/a.jpg").write_bytes(FRAMES["south/car/d.jpg"])
    assert "cached" not in cli("ingest", "frames").err
    assert taken_of.count("a.jpg") >= 1
    assert not {"b.png", "c.jpg", "d.jpg"} & set(taken_of)


def test_an_image_that_changes_meanwhile(cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = folder(work / "frames", FRAMES)
    real = ingest_image_build.build

    def build(*arguments: Any) -> Any:
        (frames / "north/car/a.jpg").write_bytes(picture(99))
        return real(*arguments)

    monkeypatch.setattr(ingest_image_build, "build", build)
    ended = cli("ingest", "frames")
    assert (ended.code, ended.err.splitlines()[0]) == (
        4,
        "mlops ingest: input: north/car/a.jpg has changed while it was being read",
    )


def test_odd_names_and_files(cli: Cli, work: Path) -> None:
    frames = folder(work / "frames", {"a b.jpg": picture(1), "ü/[x].jpg": picture(2), "UPPER.JPG": picture(3)})
    os.mkfifo(frames / "pipe.jpg")
    (frames / "link.jpg").symlink_to(frames / "a b.jpg")
    (frames / "loop").symlink_to(frames)
    Path(os.fsdecode(os.fsencode(frames) + b"/\xff.jpg")).write_bytes(picture(4))
    found = table(cli("ingest", "frames").ref)
    assert sorted(found["path"]) == ["?.jpg", "UPPER.JPG", "a b.jpg", "link.jpg", "ü/[x].jpg"]


def test_a_table_is_ingested_without_pillow(work: Path) -> None:
    Path("x.csv").write_text("a\n1\n")
    with gzip.open("x.csv.gz", "wb") as file:
        file.write(b"a\n1\n")
    code = "import sys; from mlops_cli import cli; cli.run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    for name in ("x.csv", "x.csv.gz"):
        command = [sys.executable, "-c", code, "ingest", name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        loaded = set(done.stderr.splitlines()[-1].split())
        assert "polars" in loaded
        assert not {"PIL", "av", "obstore"} & loaded


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_a_full_disk(cli: Cli, work: Path) -> None:
    folder(work / "frames", {f"{n}.png": encoded(noise(n, 200, 200), "PNG") for n in range(20)})
    disk = Path("disk")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    try:
        ended = cli("ingest", "frames", "-o", "disk/data")
        assert (ended.code, len(ended.err.splitlines())) == (8, 2), ended.err
        assert "No space left on device" in ended.err
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing(work: Path, tmp_path: Path, number: int, code: int) -> None:
    data = encoded(noise(0, 300, 300), "PNG")
    with zipfile.ZipFile("frames.zip", "w") as archive:
        for name in range(3000):
            archive.writestr(f"{name}.png", data)
    spool = tmp_path / "spool"
    spool.mkdir()
    command = [sys.executable, "-m", "mlops_cli", "ingest", "frames.zip", "-o", "data"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"TMPDIR": str(spool)})
    while process.poll() is None and not list(Path().glob(".data.*.tmp/payload/*")):
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, b"")
    assert sorted(path.name for path in Path().iterdir()) == [".mlops", "frames.zip"]
    assert list(spool.iterdir()) == []


def test_a_glob_of_directories(cli: Cli, work: Path) -> None:
    for day in ("day1", "day2"):
        folder(work / day, {"car/a.jpg": picture(1)})
    found = table(cli("ingest", "day*").ref)
    assert found["path"].to_list() == ["day1/car/a.jpg", "day2/car/a.jpg"]


@pytest.mark.parametrize("size", [1, 1 << 20, 64 << 20])
def test_only_so_much_is_read_ahead(size: int) -> None:
    """Mutant: `if len(waiting) > 2 * threads` left out of `_measured`."""
    data, started, most = picture(), 0, 0

    def tasks() -> Iterator[ingest_image_build._Task]:
        nonlocal started
        for number in range(400):
            started += 1
            yield ingest_image_build._Task(0, Entry(f"{number:03}.jpg", size, lambda: data))

    for done, (task, found) in enumerate(ingest_image_build._measured(tasks(), 2), 1):
        assert (task.entry.file, type(found).__name__) == (f"{done - 1:03}.jpg", "Measured")
        most = max(most, started - done)
    assert (done, started) == (400, 400)
    assert most <= {1: 100, 1 << 20: 50, 64 << 20: 6}[size]


def test_the_writer_holds_one_row_group(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_image_table, "BYTES", 10_000)
    found = measure(Entry("a.jpg", 1, picture))
    assert isinstance(found, Measured)
    with ingest_image_table.Images(Path(), None) as writer:
        for number in range(200):
            writer.add(f"{number}.jpg", None, None, None, found, 0)
            assert sum(len(row[0]["bytes"]) for row in writer._rows) < 10_000
    assert pl.read_parquet("part-00000.parquet").height == writer.count == 200


def test_files_of_labels_that_disagree_about_a_column_are_refused_by_name(cli: Callable[..., Any], work: Path) -> None:
    two = {
        "a/x.jpg": picture(1),
        "a/metadata.csv": b"file_name,label,x\nx.jpg,car,true\n",
        "b/y.jpg": picture(2),
        "b/metadata.jsonl": b'{"file_name":"y.jpg","label":"van","x":{"a":1}}\n',
    }
    ended = cli("ingest", folder(work / "two", two))
    assert ended.code == 4 and "metadata" in ended.err and "another type" in ended.err


@pytest.mark.parametrize(("number", "unit"), [(1772373910, "seconds"), (1772373910000, "milliseconds")])
def test_a_whole_number_in_a_file_of_labels_is_a_time(
    cli: Callable[..., Any], work: Path, number: int, unit: str
) -> None:
    folder(work / "frames", {"a.jpg": picture(1), "b.jpg": picture(2)})
    Path("labels.csv").write_text(f"file_name,label,time\na.jpg,car,{number}\nb.jpg,van,\n")
    made = open_artefact(Path(cli("ingest", "frames", "--label", "labels.csv").ref))
    told = pl.read_parquet(made.tables()[0]).sort("label")["time"].to_list()
    assert [str(one) for one in told] == ["2026-03-01 14:05:10", "None"], unit


def test_a_file_of_labels_in_an_archive_has_a_bound_too(
    cli: Callable[..., Any], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(work / "frames", {"a.jpg": picture(1), "metadata.csv": b"file_name,label\na.jpg,car\n" + b"x,y\n" * 5_000})
    with tarfile.open("frames.tar", "w") as tar:
        tar.add("frames")
    monkeypatch.setattr(archives, "MOST_BYTES", 10_000)
    ended = cli("ingest", "frames.tar")
    assert ended.code == 4 and "metadata.csv" in ended.err and "more than" in ended.err
