"""Archives of images: read without writing a file by a name that they say, whatever they say."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pictures import FRAMES, picture

from mlops_cli.errors import Corrupt
from mlops_cli.sources import archives, image_files
from mlops_cli.sources.image_files import Unreadable


def tar(files: dict[str, bytes], *more: tarfile.TarInfo) -> bytes:
    """A tar archive; `more` are members without bytes."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return data.getvalue()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def read(tmp_path: Path, data: bytes) -> tuple[dict[str, bytes | str], image_files.Collection]:
    """What an archive's images hold, or why they are refused."""
    path = tmp_path / "archive"
    path.write_bytes(data)
    kind = image_files.kind(path, "frames.tar.zst" if data[:4] == b"\x28\xb5\x2f\xfd" else "archive")
    assert kind in ("tar", "zip")
    found: dict[str, bytes | str] = {}
    with (archives.tar if kind == "tar" else archives.zip)(path, "archive", tmp_path) as collection:
        for number, entry in enumerate(collection.entries):
            name = entry.path if entry.path not in found else f"{entry.path} {number}"
            try:
                found[name] = entry.read()
            except Unreadable as error:
                found[name] = str(error)
    return found, collection


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd], ids=lambda one: one.__name__
)
def test_tar_in_every_packing(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    found, collection = read(tmp_path, pack(tar({"./z/readme.txt": b"x", **FRAMES})))
    assert found == FRAMES
    assert (list(found), collection.ignored) == (sorted(FRAMES), 1)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_zip(tmp_path: Path, method: int) -> None:
    found, collection = read(tmp_path, zipped({"readme.txt": b"x", "__MACOSX/._a.jpg": b"x", **FRAMES}, method))
    assert (found, collection.ignored) == (FRAMES, 2)


@pytest.mark.parametrize("pack", [tar, zipped])
def test_the_directory_around_everything_is_left_out(tmp_path: Path, pack: Callable[..., bytes]) -> None:
    around = {f"train/{name}": data for name, data in FRAMES.items()}
    found, collection = read(tmp_path, pack(around))
    assert (found, collection.wrapper) == (FRAMES, "train")


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize(
    "name", ["/etc/x.jpg", "../x.jpg", "a/../../x.jpg", "..\\x.jpg", "C:\\x.jpg", "a/..", "\\\\host\\x.jpg"]
)
def test_a_name_that_leads_out_refuses_the_archive(tmp_path: Path, pack: Callable[..., bytes], name: str) -> None:
    with pytest.raises(Corrupt, match="leads out of the archive"):
        read(tmp_path, pack({"a.jpg": picture(), name: b"x"}))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive"]


def test_names_with_dots_are_only_names(tmp_path: Path) -> None:
    found, _ = read(tmp_path, tar({"a..b/c...jpg": b"1", "..a/b.jpg": b"2", "a.jpg": b"3"}))
    assert set(found) == {"a..b/c...jpg", "a.jpg"}  # `..a` is hidden


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    odd = [
        member("link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard.jpg", tarfile.LNKTYPE, "a.jpg"),
        member("device.jpg", tarfile.CHRTYPE),
        member("pipe.jpg", tarfile.FIFOTYPE),
    ]
    found, _ = read(tmp_path, tar({"a.jpg": b"1"}, *odd))
    assert found.pop("a.jpg") == b"1"
    assert set(found.values()) == {"a link or a device, which is not followed"}
    assert len(found) == 4


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link.jpg")
    info.external_attr = 0o120777 << 16
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert read(tmp_path, data.getvalue())[0] == {"link.jpg": "a link or a device, which is not followed"}


def test_the_second_of_a_name_is_refused(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for content in (b"1", b"22"):
            info = tarfile.TarInfo("a.jpg")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert list(read(tmp_path, data.getvalue())[0].values()) == [b"1", "a second member of that name"]


def test_members_are_bounded_whatever_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (archives, image_files):
        monkeypatch.setattr(module, "MOST_BYTES", 1000)
    assert "are more than 1,000" in str(read(tmp_path, tar({"a.jpg": b"\0" * 1001}))[0]["a.jpg"])
    honest = zipped({"a.jpg": b"\0" * 5000})
    assert "5,000 bytes or more are more than 1,000" in str(read(tmp_path, honest)[0]["a.jpg"])
    lying = honest.replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    assert isinstance(read(tmp_path, lying)[0]["a.jpg"], str)


def test_an_archive_that_unpacks_without_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_FREE_UNPACKED", 1000)
    with pytest.raises(Corrupt, match="unpacks to far more than its own size"):
        read(tmp_path, gzip.compress(tar({"a.jpg": b"\0" * 2_000_000})))


def test_what_is_cut_or_damaged(tmp_path: Path) -> None:
    whole = tar(FRAMES)
    end = len(whole.rstrip(b"\0"))
    inside = tar({"b.jpg": picture(1), "c.jpg": picture(2)})
    second = inside.index(b"c.jpg")
    for broken in (whole[: end // 2], whole[: end // 512 * 512 + 512], inside[:second], inside[:second] + b"x" * 512):
        with pytest.raises(Corrupt, match="is a damaged tar archive"):
            read(tmp_path, broken)
    with pytest.raises(Corrupt, match="is damaged"):
        read(tmp_path, gzip.compress(whole)[:-20])


def test_a_damaged_member_of_a_zip_is_refused_alone(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.jpg": b"1" * 100, "b.jpg": b"2" * 100}, zipfile.ZIP_STORED))
    data[data.index(b"1" * 100)] ^= 1
    found, _ = read(tmp_path, bytes(data))
    assert str(found["a.jpg"]).startswith("it cannot be unpacked: Bad CRC-32")
    assert found["b.jpg"] == b"2" * 100
    encrypted = bytearray(zipped({"a.jpg": b"1"}))
    for at in (6, encrypted.index(b"PK\x01\x02") + 8):
        encrypted[at] |= 1
    assert "encrypted" in str(read(tmp_path, bytes(encrypted))[0]["a.jpg"])


def test_what_is_no_archive_of_images(tmp_path: Path) -> None:
    path = tmp_path / "x"
    cases: dict[bytes, Any] = {
        zipped({"a.csv": b"a\n1\n"}): None,
        gzip.compress(b"a,b\n1,2\n"): None,
        b"BM,ME\n1,2\n": None,
        b"a,b\n": None,
        picture(): "image",
        picture(0, "GIF"): "image",
    }
    for data, kind in cases.items():
        path.write_bytes(data)
        assert image_files.kind(path, "x") == kind
