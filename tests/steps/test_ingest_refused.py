"""What `mlops ingest` refuses: one line each, the right code, and nothing left behind."""

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_cli.store.artefact import open_artefact

CSV = b"a,b,c\n1,x,2.5\n2,,\n3,z,4\n"

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")


def table(ref: str) -> pl.DataFrame:
    return pl.read_parquet(open_artefact(Path(ref)).tables())


def left(folder: Path) -> list[str]:
    """What is there besides the sources, the workspace and its memory of digests."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in found if not name.startswith((".mlops/digests", ".mlops/.gitignore")))


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--columns", "a,d"], 4, "mlops ingest: column: --columns: there is no column 'd'\nhint: there are: a, b, c"),
        (["--columns", "a,a"], 2, "mlops ingest: usage: --columns names 'a' twice\n"),
        (["--limit", "0"], 2, "mlops ingest: usage: --limit 0 leaves no rows\n"),
        (["--limit", "many"], 2, "mlops ingest: usage: "),
        (
            ["--format", "cvs"],
            2,
            "mlops ingest: usage: --format: 'cvs' is none of the sources\nhint: did you mean csv?",
        ),
        (["--sql", "drop table data"], 2, "mlops ingest: usage: --sql is not a query: 'drop table data'\n"),
        (["--sql", "selec a"], 2, "mlops ingest: usage: --sql is not a query: 'selec a'\n"),
        (["--sql", "select zz from data"], 4, "mlops ingest: column: --sql: there is no column 'zz'\n"),
        (["--sql", "select a from flights"], 2, "mlops ingest: usage: --sql: relation 'flights' was not found\n"),
        (["--sql", "select * from read_csv('y')"], 2, "mlops ingest: usage: --sql calls read_csv"),
        (["--sql", "select * from read_csv/* ' */('y')"], 2, "mlops ingest: usage: --sql calls read_csv"),
        (["--sql", "select b from data group by b limit 1"], 2, "mlops ingest: usage: --sql: limit takes any rows"),
        (["--keep", "first"], 2, "mlops ingest: usage: --keep says which row --dedupe keeps\n"),
        (["--sql", "select a from data; select b from data"], 2, "mlops ingest: usage: --sql: "),
        (["--sql", "select a from data where a > 9"], 4, "mlops ingest: empty: x.csv: the selection leaves no rows\n"),
        (["--upto", "x"], 2, "mlops ingest: usage: No such option: --upto"),
    ],
)
def test_flags_that_are_refused(cli: Callable[..., Any], work: Path, flags: list[str], code: int, message: str) -> None:
    Path("x.csv").write_bytes(CSV)
    ended = cli("ingest", "x.csv", "-o", "data", *flags)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(message)
    assert len(ended.err.splitlines()) <= 2
    assert left(work) == ["x.csv"]


def bad_inputs(folder: Path) -> None:
    """One of each."""
    (folder / "empty.csv").write_bytes(b"")
    (folder / "header.csv").write_bytes(b"a,b\n")
    (folder / "short.csv").write_bytes(b"a,b\n1,2\n3\n")
    (folder / "long.csv").write_bytes(b"a,b\n1,2\n3,4,5\n")
    (folder / "rubbish.csv").write_bytes(bytes(range(256)) * 20)
    (folder / "rubbish").write_bytes(bytes(range(256)) * 20)
    (folder / "utf16.csv").write_bytes("a,b\n1,2\n".encode("utf-16"))
    (folder / "folder").mkdir()
    (folder / "cut.parquet").write_bytes(b"PAR1" + b"\0" * 100)
    (folder / "cut.csv.gz").write_bytes(gzip.compress(CSV * 1000)[:-9])
    (folder / "x.zip").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    (folder / "model.pkl").write_bytes(b"\x80\x04\x95rest")
    (folder / "x.csv").write_bytes(CSV)
    (folder / "y.ndjson").write_bytes(b'{"a":1}\n')


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["missing.csv"], "missing: missing.csv: no such file", ""),
        (["no*.csv"], "missing: no*.csv: no file matches", ""),
        (["empty.csv"], "empty: empty.csv is empty", ""),
        (["header.csv"], "empty: header.csv has a header and no rows", ""),
        (["short.csv"], "input: short.csv:3: 1 field, the header has 2", "see it with: sed -n 3p short.csv"),
        (["long.csv"], "input: long.csv:3: 3 fields, the header has 2", "see it with: sed -n 3p long.csv"),
        (["rubbish.csv"], "corrupt: rubbish.csv is not text: it has a zero byte at offset 0", ""),
        (["rubbish"], "corrupt: rubbish is no table: it begins with the bytes 00 01 02 03", "mlops reads parquet"),
        (["utf16.csv"], "corrupt: utf16.csv is UTF-16 text, not UTF-8", "iconv -f UTF-16 -t UTF-8 utf16.csv |"),
        (["folder"], "kind: folder is a directory", "mlops ingest 'folder/*.csv'"),
        (["cut.parquet"], "corrupt: cut.parquet is not a whole Parquet file", ""),
        (["cut.csv.gz"], "corrupt: cut.csv.gz is damaged", ""),
        (["x.zip"], "input: x.zip is a zip archive", "unzip -p x.zip | mlops ingest -"),
        (["model.pkl"], "corrupt: model.pkl is a pickle, which is never read", ""),
        (["x.csv", "y.ndjson"], "kind: files of several formats: csv, ndjson", ""),
        (["x.csv", "header.csv"], "schema: header.csv and x.csv differ: only x.csv has a column 'c'", ""),
    ],
)
def test_bad_input(cli: Callable[..., Any], work: Path, arguments: list[str], message: str, hint: str) -> None:
    bad_inputs(work)
    before = left(work)
    for out in ([], ["-o", "data"]):
        ended = cli("ingest", *arguments, *out)
        lines = ended.err.splitlines()
        assert (ended.code, ended.out, len(lines)) == (4, "", 1 + bool(len(lines) > 1))
        assert lines[0].startswith(f"mlops ingest: {message}")
        assert not hint or lines[1].startswith(f"hint: {hint}")
        assert left(work) == before


def test_what_lies_at_the_target_is_left_alone(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    Path("notes.txt").write_text("mine")
    ended = cli("ingest", "x.csv", "-o", "notes.txt", "--force")
    assert (ended.code, Path("notes.txt").read_text()) == (4, "mine")


def test_an_artefact_is_not_ingested_again(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    ended = cli("ingest", cli("ingest", "x.csv").ref)
    assert ended.code == 4
    assert "is an artefact, not a data file" in ended.err


def test_a_failure_leaves_the_old_dataset(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    cli("ingest", "x.csv", "-o", "data")
    before = left(work)
    Path("x.csv").write_bytes(CSV + b"1,2\n")
    assert cli("ingest", "x.csv", "-o", "data").code == 4
    assert left(work) == before
    assert table("data").height == 3


def big(path: Path, rows: int) -> None:
    """A CSV of some size."""
    with path.open("wb") as file:
        file.write(b"a,b,c\n")
        for start in range(0, rows, 10_000):
            file.write(b"".join(b"%d,%x,%d.5\n" % (n, n * 2654435761 % 2**32, n) for n in range(start, start + 10_000)))


@root
def test_a_full_disk(cli: Callable[..., Any], work: Path) -> None:
    big(Path("x.csv"), 200_000)
    disk = Path("disk")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    try:
        ended = cli("ingest", "x.csv", "-o", "disk/data")
        assert ended.code == 8, ended.err
        assert len(ended.err.splitlines()) == 2
        assert "No space left on device" in ended.err
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@root
def test_a_read_only_target(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    disk = Path("disk")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)], check=True)
    try:
        ended = cli("ingest", "x.csv", "-o", "disk/data")
        assert ended.code == 8
        assert ended.err.startswith("mlops ingest: outside: cannot write in disk: Read-only file system\n")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_that_may_not_be_read(cli: Callable[..., Any], work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.csv").write_bytes(CSV)
    Path("x.csv").chmod(0)
    if os.geteuid() == 0:  # root may read all the same
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    ended = cli("ingest", "x.csv")
    assert (ended.code, ended.err.splitlines()[0]) == (4, "mlops ingest: missing: x.csv: permission denied")


def test_ctrl_c(work: Path, tmp_path: Path) -> None:
    big(Path("x.csv"), 1_500_000)
    spool = tmp_path / "spool"
    spool.mkdir()
    command = [sys.executable, "-m", "mlops_cli", "ingest", "x.csv", "-o", "data"]
    environment = os.environ | {"TMPDIR": str(spool)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    for _ in range(1000):
        if list(Path().glob(".data.*.tmp/payload/*")) or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.replace(b"mlops:stop:130:ingest\n", b""), err) == (130, b"", b"")
    assert left(work) == ["x.csv"]
    assert list(spool.iterdir()) == []


def test_nothing_stays_in_tmpdir(
    cli: Callable[..., Any], work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    Path("x.csv.gz").write_bytes(gzip.compress(CSV))
    Path("blank.csv").write_bytes(CSV + b"\n\n\n")
    assert cli("ingest", "x.csv.gz").code == cli("ingest", "blank.csv").code == cli("ingest", stdin=CSV).code == 0
    assert cli("ingest", stdin=b"a,b\n1\n").code == 4
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("", 2, "mlops ingest: usage: the name of a source is empty\n"),
        ("mysql://me@host/db", 2, "mlops ingest: usage: mysql:// is nothing that is read\n"),
        ("nosuch.db", 4, "mlops ingest: missing: nosuch.db: no such file\n"),
    ],
)
def test_sources_that_there_are_not(cli: Callable[..., Any], work: Path, name: str, code: int, message: str) -> None:
    ended = cli("ingest", name, "--query", "a")
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(message)
    assert left(work) == []


def test_the_same_bytes_under_a_name_that_means_tabs_are_another_table(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(b"a\n1,2\n")
    Path("x.tsv").write_bytes(b"a\n1,2\n")
    assert [cli("ingest", f"x.{kind}").code for kind in ("csv", "tsv", "csv", "tsv")] == [4, 0, 4, 0]


def test_a_name_with_a_zero_byte(cli: Callable[..., Any], work: Path) -> None:
    pq.write_table(pa.table({"a\0b": [1]}), "x.parquet")
    ended = cli("ingest", "x.parquet")
    assert (ended.code, len(ended.err.splitlines())) == (4, 2)
    assert "has a zero byte in it" in ended.err
