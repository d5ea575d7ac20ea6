"""Compressed files."""

import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pytest

from mlops_cli.errors import Corrupt, InputUnusable
from mlops_cli.sources import packed

DATA = b"a,b\n" + b"1,2\n" * 50_000


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


PACKERS = {"gzip": gzip.compress, "zstd": zstd, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("name", list(PACKERS))
def test_unpacks_all_of_it(tmp_path: Path, name: str) -> None:
    path, target = tmp_path / "x", tmp_path / "y"
    path.write_bytes(PACKERS[name](DATA) + PACKERS[name](DATA))  # as `cat` makes them
    head = path.read_bytes()[:100]
    assert packed.packing(head) == name
    packed.unpack(path, "x", head, target)
    assert target.read_bytes() == DATA + DATA


@pytest.mark.parametrize("name", list(PACKERS))
def test_what_is_cut_or_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x"
    whole = PACKERS[name](DATA)
    middle = len(whole) // 2
    for broken in (whole[:-5], whole[:middle], whole[:middle] + b"\xff" * 9 + whole[middle + 9 :]):
        path.write_bytes(broken)
        with pytest.raises(Corrupt, match=f"x.csv is damaged: its {name} data"):
            packed.unpack(path, "x.csv", broken[:100], tmp_path / "y")


def test_archives_are_refused_with_the_way_to_unpack_them() -> None:
    with pytest.raises(InputUnusable, match="a zip archive") as caught:
        packed.refuse("x.zip", "x.zip", b"PK\x03\x04...")
    assert caught.value.hint == "unzip -p x.zip | mlops ingest -"


def test_plain_files_are_not_packed() -> None:
    assert packed.packing(b"a,b\n") is None
    packed.refuse("x", "x", b"a,b\n")
