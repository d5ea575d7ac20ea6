"""The workspace: when work is done again and when not, and what happens to what lies at `-o`."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from makers import context, forged, job, sealed, tree

from mlops_cli.errors import InputUnusable, Missing, Outside, Usage, WrongKind
from mlops_cli.steps import environment, memo
from mlops_cli.steps.memo import Output, Verdict
from mlops_cli.store import artefact, files, manifest, workspace
from mlops_cli.store.workspace import Workspace

ONE, OTHER = {"x": b"one"}, {"x": b"other"}
FAIL = Verdict(1, ("no",))


@pytest.fixture
def ws(work: Path) -> Workspace:
    """An empty workspace in the current directory."""
    return Workspace(work / ".mlops")


# --- finding it


def test_the_nearest_workspace_upward_is_taken(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = work / "a" / "b"
    below.mkdir(parents=True)
    assert workspace.locate(below).root == work / ".mlops"
    (work / "a" / ".mlops").mkdir()
    assert workspace.locate(below).root == work / "a" / ".mlops"
    monkeypatch.setenv("MLOPS_HOME", str(work / "other"))
    assert workspace.locate(below).root == work / "other"


def test_without_one_it_is_made_here_and_git_looks_away(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / ".mlops").rmdir()
    memo.perform(context(work), job(ONE), Output())
    assert (work / ".mlops" / ".gitignore").read_text() == "*\n"


# --- keys


def test_the_same_work_is_not_done_twice(work: Path) -> None:
    done: list[int] = []
    task = job(lambda: done.append(1) or ONE, rejects=OTHER)
    first = memo.perform(context(work), task, Output())
    second = memo.perform(context(work), task, Output())
    assert (first.cached, second.cached, len(done)) == (False, True, 1)
    assert first.ref == second.ref == f".mlops/artefacts/{manifest.dirname(first.artefact.id)}"  # type: ignore[union-attr]
    assert second.rejects is not None and second.rejects.read("x") == b"other"


def test_force_and_what_has_no_key_always_run(work: Path) -> None:
    memo.perform(context(work), job(ONE), Output())
    assert not memo.perform(context(work, force=True), job(ONE), Output()).cached
    for _ in range(2):
        assert not memo.perform(context(work), job(ONE, key=None), Output()).cached


NUMBERS = [1, 2, 1.0, float("nan"), float("inf"), -float("inf")]
KEYS = [*NUMBERS, "1", True, None, [1], [1, None], {"a": 1}, {"a": 2}, {"b": 1}]


def test_every_difference_of_a_key_shows() -> None:
    digests = {memo._key(job(ONE, key=key)) for key in KEYS}
    assert len(digests) == len(KEYS), "1 and 1.0 and True are equal in Python, not here"


def test_a_key_does_not_follow_order_or_process() -> None:
    assert memo._key(job(ONE, key={"a": 1, "b": {"x", "y"}})) == memo._key(job(ONE, key={"b": {"y", "x"}, "a": 1}))
    assert memo._key(job(ONE, key=(1, 2))) == memo._key(job(ONE, key=[1, 2]))
    assert memo._key(job(ONE, key="\udcff")) != memo._key(job(ONE, key="?"))


def test_the_command_its_libraries_and_mlops_itself_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = memo._key(job(ONE))
    assert memo._key(job(ONE, command="split")) != plain
    assert memo._key(job(ONE, libraries=("polars",))) != plain
    with monkeypatch.context() as patch:
        patch.setattr(environment, "versions", lambda names: {"polars": "99"})
        newer = memo._key(job(ONE, libraries=("polars",)))
    assert memo._key(job(ONE, libraries=("polars",))) != newer
    monkeypatch.setattr(environment, "tool", lambda: "mlops 0.1.0+0123456789ab")
    assert memo._key(job(ONE)) != plain


def test_an_editable_tool_is_known_by_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tool(package: Path) -> str:
        monkeypatch.setattr(environment, "__file__", str(package / "steps" / "environment.py"))
        return environment.tool.__wrapped__()

    copy = tmp_path / "mlops_cli"
    shutil.copytree(Path(environment.__file__).parents[1], copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = tool(copy)
    assert before.startswith("mlops 0.") and "+" in before
    (copy / "steps" / "memo.py").touch()
    assert tool(copy) == before
    with (copy / "steps" / "memo.py").open("a") as file:
        file.write("\n")
    assert tool(copy) != before
    released = tmp_path / "site-packages" / "mlops_cli"
    shutil.copytree(copy, released)
    assert "+" not in tool(released)


def test_paths_of_output_are_not_in_the_key(work: Path) -> None:
    memo.perform(context(work), job(ONE), Output("a"))
    assert memo.perform(context(work), job(ONE), Output("b")).cached
    assert memo.perform(context(work), job(ONE), Output()).cached


def test_errors_are_not_remembered(work: Path) -> None:
    def fails() -> dict[str, bytes]:
        raise InputUnusable("no")

    for _ in range(2):
        with pytest.raises(InputUnusable):
            memo.perform(context(work), job(fails), Output("deep/out"))
    assert not (work / "deep").exists()
    assert tree(work) == {}
    assert not memo.perform(context(work), job(ONE), Output()).cached


# --- digests of files


def test_digests_are_remembered_by_path_size_mtime_and_inode(
    work: Path, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = work / "data.csv"
    read: list[Path] = []
    real = files.digest
    monkeypatch.setattr(files, "digest", lambda path: read.append(path) or real(path))

    def asked() -> int:
        read.clear()
        assert ws.digest(path) == real(path)
        return len(read)

    def aged(seconds: float) -> None:
        os.utime(path, (time.time() - seconds,) * 2)

    path.write_text("a\n1\n")
    assert [asked(), asked()] == [1, 1], "a young file may change within its mtime: never remembered"
    aged(10)
    assert [asked(), asked()] == [1, 0]
    aged(20)
    assert [asked(), asked()] == [1, 0], "another mtime: read again"
    mtime = path.stat().st_mtime_ns
    path.write_text("a\n2\n3\n")
    os.utime(path, ns=(mtime, mtime))
    assert asked() == 1, "another size"
    twin = work / "twin"
    twin.write_text("a\n4\n5\n")
    os.utime(twin, ns=(mtime, mtime))
    twin.replace(path)
    assert asked() == 1, "another file of the same size and time"
    os.utime(path, (time.time() + 1000,) * 2)
    assert [asked(), asked()] == [1, 1], "a time in the future is no time to trust"


def test_a_digest_does_not_need_a_writable_workspace(
    work: Path, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "x").write_text("x")
    os.utime(work / "x", (1, 1))

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    assert len(ws.digest(work / "x")) == 64


# --- where things go


def test_out_has_the_artefact_and_the_workspace_points_to_it(work: Path, ws: Workspace) -> None:
    made = memo.perform(context(work), job(ONE), Output("deep/er/out")).artefact
    assert made is not None and made.path == Path("deep/er/out")
    pointer = ws.root / "artefacts" / manifest.dirname(made.id)
    assert pointer.read_text() == "deep/er/out\n"
    assert ws.find(made.id) is not None
    again = memo.perform(context(work), job(ONE), Output())
    assert again.cached and again.ref == "deep/er/out"


def test_a_pointer_counts_only_while_that_artefact_is_there(work: Path, ws: Workspace) -> None:
    memo.perform(context(work), job(ONE), Output("out"))
    memo.perform(context(work), job(OTHER, key="k2"), Output("out"))
    again = memo.perform(context(work), job(ONE), Output())
    assert not again.cached, "out is something else now"
    assert again.artefact is not None and again.artefact.path.parent == ws.root / "artefacts"
    shutil.rmtree("out")
    assert not memo.perform(context(work), job(OTHER, key="k2"), Output()).cached
    (work / "m").mkdir()
    assert memo.perform(context(work), job(OTHER, key="k2"), Output("m")).cached


def test_a_pointer_survives_moving_everything(work: Path, tmp_path: Path) -> None:
    memo.perform(context(work), job(ONE), Output("out"))
    moved = tmp_path / "elsewhere"
    os.rename(work, moved)
    os.chdir(moved)
    assert memo.perform(context(moved), job(ONE), Output()).cached


@pytest.mark.parametrize("rubbish", [b"", b"../../../nowhere\n", b"\xff\xfe", b"x\0y"])
def test_a_damaged_key_or_pointer_is_a_miss(work: Path, ws: Workspace, rubbish: bytes) -> None:
    memo.perform(context(work), job(ONE), Output("out"))
    for folder in ("keys", "artefacts"):
        for path in (ws.root / folder).iterdir():
            path.write_bytes(rubbish)
        assert not memo.perform(context(work), job(ONE), Output()).cached
        assert memo.perform(context(work), job(ONE), Output()).cached


@pytest.mark.parametrize("damage", ["cut", "removed", "manifest"])
def test_a_damaged_artefact_in_the_workspace_is_made_again(work: Path, ws: Workspace, damage: str) -> None:
    made = memo.perform(context(work), job(ONE), Output()).artefact
    assert made is not None
    if damage == "cut":
        (made.path / "x").write_bytes(b"on")
    elif damage == "removed":
        (made.path / "x").unlink()
    else:
        (made.path / "manifest.json").write_text("{}")
    again = memo.perform(context(work), job(ONE), Output())
    assert not again.cached
    assert again.artefact is not None and artefact.verify(again.artefact) == []
    assert memo.perform(context(work), job(ONE), Output()).cached
    assert os.listdir(ws.root / "staging") == []


def test_force_makes_again_what_was_damaged_within_its_size(work: Path) -> None:
    for out in (None, "out"):
        made = memo.perform(context(work), job(ONE), Output(out)).artefact
        assert made is not None
        (made.path / "x").write_bytes(b"0ne")
        again = memo.perform(context(work, force=True), job(ONE), Output(out)).artefact
        assert again is not None and artefact.verify(again) == []


def test_what_has_not_changed_at_out_is_left_untouched(work: Path) -> None:
    memo.perform(context(work), job(ONE), Output("out"))
    before = {path: path.stat() for path in Path("out").rglob("*")}
    inode = Path("out").stat().st_ino
    for force, key in ((False, "k"), (True, "k"), (False, "k2")):
        memo.perform(context(work, force=force), job(ONE, key=key), Output("out"))
    assert Path("out").stat().st_ino == inode
    assert {path: path.stat().st_mtime_ns for path in before} == {path: was.st_mtime_ns for path, was in before.items()}


def test_a_hit_copies_to_out(work: Path) -> None:
    first = memo.perform(context(work), job(ONE), Output())
    hit = memo.perform(context(work), job(ONE), Output("copy"))
    assert hit.cached and hit.ref == "copy"
    assert artefact.verify(artefact.open_artefact(Path("copy"))) == []
    assert first.artefact is not None and tree(Path("copy")) == tree(first.artefact.path)
    (Path("copy") / "x").unlink()
    assert memo.perform(context(work), job(ONE), Output("copy")).cached
    assert artefact.verify(artefact.open_artefact(Path("copy"))) == []


def test_another_of_the_same_kind_is_replaced_at_once(work: Path) -> None:
    memo.perform(context(work), job(ONE), Output("out"))
    memo.perform(context(work), job(OTHER, key="k2"), Output("out"))
    assert artefact.open_artefact(Path("out")).read("x") == b"other"
    memo.perform(context(work), job(ONE), Output("out"))
    assert artefact.open_artefact(Path("out")).read("x") == b"one"
    assert [path.name for path in work.iterdir()] in (["out", ".mlops"], [".mlops", "out"])


def test_an_empty_directory_is_taken(work: Path) -> None:
    (work / "out").mkdir()
    assert memo.perform(context(work), job(ONE), Output("out")).ref == "out"


@pytest.mark.parametrize("what", ["file", "directory", "kind", "damaged", "newer", "dead link", "pipe"])
@pytest.mark.parametrize("hit", [False, True])
@pytest.mark.parametrize("force", [False, True])
def test_foreign_things_at_out_are_refused_and_left(work: Path, what: str, hit: bool, force: bool) -> None:
    out = work / "out"
    if hit:
        memo.perform(context(work), job(ONE), Output())
    if what == "file":
        out.write_text("mine")
    elif what == "directory":
        out.mkdir()
        (out / "mine").write_text("mine")
    elif what == "dead link":
        out.symlink_to("nowhere")
    elif what == "pipe":
        os.mkfifo(out)
    else:
        sealed(out, kind="dataset" if what == "kind" else "model")
        if what == "damaged":
            (out / "manifest.json").write_text((out / "manifest.json").read_text().replace("test", "TEST"))
        elif what == "newer":
            forged(out, format=2)
    before = tree(work) if what != "pipe" else None
    with pytest.raises((WrongKind, InputUnusable)) as caught:
        memo.perform(context(work, force=force), job(ONE), Output("out"))
    assert "out" in caught.value.message
    if before is not None:
        assert {name: digest for name, digest in tree(work).items() if name.startswith("out")} == {
            name: digest for name, digest in before.items() if name.startswith("out")
        }
    assert out.is_symlink() or out.exists()


@pytest.mark.parametrize("out", [".", "..", "/", "deep/.."])
def test_a_directory_one_stands_in_is_refused(work: Path, out: str) -> None:
    with pytest.raises(Usage, match="stands in"):
        memo.perform(context(work), job(ONE), Output(out))


def test_what_cannot_be_written_is_said_before_the_work(work: Path) -> None:
    (work / "file").write_text("x")

    sealed(work / "dataset", kind="dataset")

    def works() -> dict[str, bytes]:
        raise AssertionError("too early")

    for output in (Output("file/out"), Output(None, "file/bad.parquet"), Output("dataset")):
        with pytest.raises((Outside, WrongKind)):
            memo.perform(context(work), job(works), output)


# --- verdicts


def test_a_verdict_that_is_no_pass_leaves_out_as_it_was(work: Path) -> None:
    memo.perform(context(work), job(ONE), Output("out"))
    before = tree(Path("out"))
    for expected in (False, True):
        ended = memo.perform(context(work), job(OTHER, key="k2", judge=lambda made: FAIL), Output("out"))
        assert (ended.exit, ended.cached) == (1, expected)
        assert ended.artefact is not None and ended.artefact.path.is_relative_to(work / ".mlops" / "artefacts")
        assert ended.artefact.read("x") == b"other"
        assert tree(Path("out")) == before
    assert not (work / "never").exists()
    memo.perform(context(work), job(OTHER, key="k3", judge=lambda made: FAIL), Output("never/out"))
    assert not (work / "never").exists()


def test_a_verdict_is_asked_on_a_hit_too(work: Path) -> None:
    answers = iter([FAIL, Verdict(3), Verdict(0)])
    task = job(ONE, judge=lambda made: next(answers))
    assert [memo.perform(context(work), task, Output("o")).exit for _ in range(3)] == [1, 3, 0]
    assert artefact.open_artefact(Path("o")).read("x") == b"one"


# --- rejects


@pytest.mark.parametrize("hit", [False, True])
def test_rejects_are_copied_hit_or_miss(work: Path, hit: bool) -> None:
    task = job(ONE, rejects={"part-00000.parquet": b"bad rows"})
    if hit:
        memo.perform(context(work), task, Output())
    for target in ("bad", "deep/bad.parquet"):
        ended = memo.perform(context(work), task, Output(None, target))
        assert ended.rejects is not None
        hit = True
    assert artefact.open_artefact(Path("bad")).kind == "dataset"
    path = Path("deep/bad.parquet")
    assert path.read_bytes() == b"bad rows"
    assert os.listdir("deep") == ["bad.parquet"]
    before = path.stat()
    memo.perform(context(work), task, Output(None, str(path)))
    assert path.stat().st_mtime_ns == before.st_mtime_ns and path.stat().st_ino == before.st_ino


def test_rejects_come_with_a_failed_verdict(work: Path) -> None:
    task = job(ONE, rejects={"part-00000.parquet": b"bad rows"}, judge=lambda made: FAIL)
    assert memo.perform(context(work), task, Output("out", "bad.parquet")).exit == 1
    assert Path("bad.parquet").read_bytes() == b"bad rows"
    assert not Path("out").exists()


def test_rejects_that_were_lost_are_made_again(work: Path, ws: Workspace) -> None:
    task = job(ONE, rejects={"part-00000.parquet": b"bad rows"})
    first = memo.perform(context(work), task, Output())
    assert first.rejects is not None
    shutil.rmtree(first.rejects.path)
    assert not memo.perform(context(work), task, Output()).cached


# --- what is written about it


def test_a_name_that_is_not_utf8_can_be_told(work: Path) -> None:
    strange = os.fsdecode(b"data\xff.csv")
    source = manifest.Input("file", "sha256:0", strange)
    ctx = context(work, command=("mlops", "ingest", "data?.csv"))
    made = memo.perform(ctx, job(ONE, inputs=[source], params={"name": strange}), Output()).artefact
    assert made is not None and made.manifest.inputs[0].ref == "data?.csv"


def test_secrets_are_not_in_a_manifest(work: Path) -> None:
    url = "postgresql://user:s3cret@host/db"
    source = manifest.Input("query", "", url)
    made = memo.perform(context(work), job(ONE, inputs=[source], params={"source": [url]}), Output()).artefact
    assert made is not None
    text = (made.path / "manifest.json").read_text()
    assert "s3cret" not in text and "user:***@host" in text


def test_missing_after_gc_is_a_miss(work: Path, ws: Workspace) -> None:
    memo.perform(context(work), job(ONE), Output())
    shutil.rmtree(ws.root)
    assert not memo.perform(context(work), job(ONE), Output()).cached
    with pytest.raises(Missing):
        artefact.open_artefact(work / "nothing")


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_a_directory_is_not_called_like_a_file(cli, name: str, work: Path) -> None:
    """Other programs would take out.parquet for a table, and find a directory with a manifest."""
    (work / "data.csv").write_text("a\n1\n")
    ended = cli("ingest", "data.csv", "-o", name)
    assert ended.code == 2
    assert "is a directory" in ended.err
    assert not (work / name).exists()
