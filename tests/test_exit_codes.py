"""Every way to end: the documented code, one line, a hint, and never a traceback or Python's own 1."""

from __future__ import annotations

import fcntl
import inspect
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import IO, Any

import pytest
from makers import sealed

from mlops_cli import cli as command_line
from mlops_cli import errors, logs
from mlops_cli.errors import MlopsError
from mlops_cli.steps import listing

CODES = {1, 2, 3, 4, 5, 6, 7, 8}
TOLD = [cls for cls in errors.classes() if cls is not MlopsError and cls is not errors.Stopped]
MLOPS = str(Path(sys.executable).with_name("mlops"))
# stream readers get one command, the rest is said to everybody
ERROR = re.compile(r"mlops(?: [a-z]+)?: [a-z-]+: .+\n(hint: .+\n)?")


def one_line(text: str) -> bool:
    """Whether that is an error and at most a hint."""
    return ERROR.fullmatch(text) is not None


# --- the classes


@pytest.mark.parametrize("cls", TOLD)
def test_every_error_is_documented(cls: type[MlopsError]) -> None:
    assert cls.exit in CODES
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cls.word)
    assert cls.__doc__ and cls.__doc__.strip().endswith(".") and "\n" not in cls.__doc__
    assert re.search(rf"\| {cls.exit} +\|.*\| `{cls.word}`", documentation()), "scripts/docs must be run"


def documentation() -> str:
    """The generated page."""
    return (Path(__file__).parents[1] / "docs" / "exit-codes.md").read_text(encoding="utf-8")


def test_words_are_unique_and_every_code_has_one() -> None:
    words = [cls.word for cls in TOLD]
    assert len(words) == len(set(words))
    assert {cls.exit for cls in TOLD} == CODES
    assert all(cls.__module__ == "mlops_cli.errors" for cls in TOLD), "errors are defined in one place"


def test_a_message_is_one_line() -> None:
    error = errors.Missing("a\nb\t c\r\n", " do\nthis ")
    assert (error.message, error.hint) == ("a b c", "do this")
    assert "pip install 'mlops-cli[docker]'" in errors.MissingExtra.of("docker", "docker").hint


# --- what users do wrong


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["nonsense"], 2, "no command 'nonsense'"),
        (["trian"], 2, "did you mean train?"),
        (["list", "--nonsense"], 2, "No such option"),
        (["list", "--limit", "x"], 2, "--limit"),
        (["list", "a", "b"], 2, "unexpected extra argument"),
        (["promote"], 2, "Missing argument"),
        (["promote", "m@1"], 2, "Missing argument"),
        (["gc", "--older", "soon"], 2, "not a duration"),
        (["inspect", "nothing"], 4, "no such file"),
        (["inspect", ""], 4, "empty reference"),
        (["inspect", "m@1"], 4, "no registry"),
        (["inspect", "."], 4, "not an artefact"),
        (["inspect", "a" * 300], 4, "name too long"),
        (["register", "x"], 2, "--name"),
        (["register", "x", "--name", "A B"], 2, "a model name"),
        (["promote", "M", "production"], 2, "a model name"),
        (["list", "--config", "nothing.toml"], 4, "no such file"),
        (["inspect", "mlops:stop:3:train"], 3, ""),
    ],
)
def test_usage_and_input(cli: Any, words: list[str], code: int, part: str) -> None:
    ended = cli(*words)
    assert ended.code == code, ended.err
    assert ended.out == ""
    if part:
        assert one_line(ended.err), ended.err
        assert part in ended.err
    else:
        assert ended.err == ""


@pytest.mark.parametrize("command", [name for name in command_line.COMMANDS if name not in ("demo", "list", "gc")])
def test_empty_standard_input_is_4_or_usage(cli: Any, command: str) -> None:
    words = {"train": ["--target", "x"], "register": ["--name", "m"]}.get(command, [])
    ended = cli(command, *words)
    assert ended.code in (2, 4), ended.err
    assert one_line(ended.err), ended.err
    if command not in ("promote", "watch", "report", "predict"):
        assert ended.code == 4 and ": empty: " in ended.err, ended.err


@pytest.mark.parametrize("command", list(command_line.COMMANDS))
def test_help_of_every_command(cli: Any, command: str) -> None:
    ended = cli(command, "--help")
    assert ended.code == 0 and ended.err == ""
    assert ended.out.startswith(f"Usage: mlops {command} ")
    first = inspect.getdoc(sys.modules[f"mlops_cli.commands.{command}"].main).splitlines()[0]
    assert first == command_line.COMMANDS[command], "the table of commands says the same"


def test_without_arguments_help_is_shown(cli: Any) -> None:
    assert cli().out == cli("--help").out
    assert all(name in cli().out for name in command_line.COMMANDS)


@pytest.mark.parametrize("word", ["error", "bug"])
def test_errors_for_programs(cli: Any, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path("mlops.toml")).write_text("[nonsense]\n")
    ended = cli("list", "--json")
    told = json.loads(ended.err)
    assert (told["command"], told["error"], told["exit"], ended.code) == ("list", "input", 4, 4)
    assert "nonsense" in told["message"] and set(told) == {"command", "error", "message", "hint", "exit"}


# --- what is not the user's fault


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `mlops list` fail with that."""

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(listing, "models", fails)


def panic() -> BaseException:
    """What polars raises when it panics, a BaseException."""
    from polars.exceptions import PanicException

    return PanicException("called `Option::unwrap()`\non a `None` value")


@pytest.mark.parametrize("make", [lambda: KeyError("x"), panic, lambda: RecursionError("deep"), GeneratorExit])
def test_a_bug_is_70_and_its_traceback_is_in_a_file(cli: Any, monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    raising(make(), monkeypatch)
    ended = cli("list")
    assert ended.code == 70
    assert one_line(ended.err), ended.err
    assert type(make()).__name__ in ended.err
    path = Path(ended.err.split("with ")[-1].strip())
    assert "Traceback" in path.read_text() and path.is_relative_to(os.environ["XDG_STATE_HOME"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device", "x"), 8),
        (OSError(30, "Read-only file system"), 8),
        (PermissionError(13, "Permission denied", b"x"), 8),
        (FileNotFoundError(2, "No such file or directory", "x"), 4),
        (IsADirectoryError(21, "Is a directory", "x"), 4),
        (OSError(36, "File name too long", "x" * 300), 4),
        (MemoryError(), 8),
        (ModuleNotFoundError("No module named 'duckdb'", name="duckdb"), 7),
        (ModuleNotFoundError("No module named 'mlops_cli.x'", name="mlops_cli.x"), 70),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(32, "Broken pipe"), 141),
        (SystemExit(3), 3),
        (SystemExit(None), 0),
        (SystemExit("a message of some library"), 70),
        (errors.Stopped(5, "train"), 5),
        *((cls("a\nb", "c"), cls.exit) for cls in TOLD),
    ],
)
def test_what_is_raised_and_how_it_ends(
    cli: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    raising(error, monkeypatch)
    ended = cli("list")
    assert ended.code == code
    assert ended.out == ""
    assert one_line(ended.err) or (ended.err == "" and code in (0, 3, 5, 70, 130, 141))


def test_where_no_log_can_be_written_the_bug_is_told_all_the_same(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(KeyError("x"), monkeypatch)
    monkeypatch.setattr(Path, "write_text", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    assert cli("list").code == 70
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    assert cli("list").code == 70


# --- signals and pipes, in real processes


@pytest.fixture
def slow(work: Path) -> list[str]:
    """A command that works for a long time: it reads a pipe that nobody closes."""
    return [MLOPS, "ingest", "-"]


def unread(pipe: IO[bytes]) -> int:
    """Bytes in a pipe that nobody has read yet."""
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))[0])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_silently_with_their_codes(slow: list[str], work: Path, number: int, code: int) -> None:
    runner = subprocess.Popen(slow, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert runner.stdin is not None
    runner.stdin.write(b"a,b\n" + b"1,2\n" * 50_000)
    runner.stdin.flush()
    deadline = time.monotonic() + 60
    while unread(runner.stdin) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    runner.send_signal(number)
    out, err = runner.communicate(timeout=60)
    assert (runner.returncode, err) == (code, b"")
    assert out == b"mlops:stop:%d:ingest\n" % code, "the reader of the pipe is told"
    assert [path for path in work.rglob("*") if path.is_file() and path.name != ".gitignore"] == []


def test_the_reader_hangs_up(shell: Any, work: Path) -> None:
    Path("big.csv").write_text("a,b\n" + "1,some text\n" * 300_000)
    ended = shell("mlops ingest big.csv -q -o - | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}")
    assert (ended.out, ended.err) == ("141\n", "")
    ended = shell("mlops --help | true; echo ${PIPESTATUS[0]}")
    assert ended.out in ("141\n", "0\n") and ended.err == "", "0 when it was written before the reader had gone"
    ended = shell("(sleep 0.5; mlops list --help) | :; echo ${PIPESTATUS[0]}")
    assert (ended.out, ended.err) == ("141\n", "")


@pytest.mark.parametrize(
    ("line", "code", "err"),
    [
        ("mlops --help > /dev/full", 8, "mlops: outside: No space left on device"),
        ("mlops inspect one > /dev/full", 8, "mlops inspect: outside: No space left on device"),
        ("mlops inspect one --json > /dev/full", 8, "No space left on device"),
        ("mlops ingest data.csv -q -o - > /dev/full", 8, "mlops ingest: outside: No space left on device"),
        ("mlops --help >&-", 8, "mlops: outside: Bad file descriptor"),
        ("mlops inspect one >&-", 8, "mlops inspect: outside: Bad file descriptor"),
        ("mlops inspect <&-", 4, "mlops inspect: empty: "),
        ("mlops inspect nothing 2>&-", 4, ""),
        ("mlops inspect one <&- >&- 2>&-", 8, ""),
        ("mlops inspect nothing 2>/dev/full", 4, ""),
        ("rmdir ../gone; mkdir ../gone; cd ../gone; rmdir ../gone; mlops list", 8, "No such file or directory"),
        ("LC_ALL=C mlops inspect one", 0, ""),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 mlops inspect one", 0, ""),
        ("mlops inspect $'\\xff'", 4, "mlops inspect: input: ?: this name is not UTF-8"),
        ("mlops ingest data.csv -o $'d\\xff'", 4, "mlops ingest: input: d?: this name is not UTF-8"),
        ("mkdir $'d\\xff'; cd $'d\\xff'; mlops list", 4, "this name is not UTF-8"),
        ("printf '\\xff\\n' | mlops inspect", 4, "no such file"),
    ],
)
def test_standard_files_that_fail(shell: Any, work: Path, line: str, code: int, err: str) -> None:
    sealed(work / "one", params={"name": "größe\u2028"})
    Path("data.csv").write_text("a\n1\n")
    ended = shell(line)
    assert ended.code == code, ended.err
    assert err in ended.err
    assert "Traceback" not in ended.err and len(ended.err.splitlines()) <= 2
    if code:
        assert ended.out in ("", f"mlops:stop:{code}:ingest\n")


def test_what_is_opened_next_is_not_a_standard_file(shell: Any, work: Path) -> None:
    """With 1 and 2 closed, a file that is opened would get their numbers, and whatever a library says."""
    Path("data.csv").write_text("a,b\n1,2\n")
    for closed in ("2>&-", "<&- 2>&-", ">&- 2>&-"):
        shell(f"mlops ingest data.csv -o out --force {closed}")
        assert shell("mlops inspect out --verify").code == 0


def test_the_entry_script_survives_its_own_imports(shell: Any, work: Path) -> None:
    Path("msgspec.py").write_text("raise ZeroDivisionError('broken\\ninstallation')\n")
    ended = shell("PYTHONPATH=. mlops list")
    assert ended.code == 70 and "Traceback" not in ended.err
    Path("msgspec.py").write_text("import nothing_of_the_kind\n")
    ended = shell("PYTHONPATH=. mlops list")
    assert ended.code in (7, 70) and "Traceback" not in ended.err


# --- secrets

CANARY = "c4n4ry"
SECRET = [
    f"postgresql://me:{CANARY}@host/db",
    f"postgresql://me:{CANARY}@@host:5432/db?sslmode=require",
    f"https://{CANARY}@host/path",
    f"s3://bucket/key?X-Amz-Signature={CANARY}&x=1",
    f"abfs://c@a.dfs.core.windows.net/x?sig={CANARY}",
    f"host=h user=u password={CANARY} dbname=d",
    f"host=h user=u password='{CANARY} {CANARY}' dbname=d",
    f'{{"password": "{CANARY}", "token":"{CANARY}"}}',
    f"AWS_SECRET_ACCESS_KEY={CANARY}",
    f"MY_API_KEY={CANARY}",
    f"AccountKey={CANARY};EndpointSuffix=x",
    f"Authorization: Bearer {CANARY}",
    f"Pwd={CANARY};",
    f"access_token={CANARY}",
]
KEPT = [
    "s3://bucket/key.parquet", "http://localhost:8080/v2/models", "data/x.csv", "select a from b where c = 'd'",
    "git@host:repo", "flights@production", "models:/flights/7", "a=b", "unexpected token at 3", "monkey=1", "12:30@x",
    "https://host/a:b@c", "--key=id", "tokenizer.json", "sha256:abc",
]  # fmt: skip


@pytest.mark.parametrize("text", SECRET)
def test_secrets_are_redacted(text: str) -> None:
    assert CANARY not in logs.redact(f"cannot read {text}, giving up")
    assert "***" in logs.redact(text)
    assert CANARY not in logs.redact(logs.redact(text))


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_is_kept(text: str) -> None:
    assert logs.redact(text) == text


def test_flags_that_take_secrets() -> None:
    words = ["--notify", f"tgram://{CANARY}/1", f"--notify=slack://{CANARY}", "--token", CANARY]
    words.append(f"--db-password={CANARY}")
    assert CANARY not in " ".join(logs.redact_all(words))
    kept = ["--notify", "@file", "--notify=@file", "--token-file", "path", "--key", "id", "--name", "token"]
    assert logs.redact_all(kept) == kept


@pytest.mark.parametrize("text", SECRET)
def test_no_secret_is_written_anywhere(cli: Any, work: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    sealed(work / "one")
    Path("data.csv").write_text("a\n1\n")
    query = "select '" + text.replace("'", "''") + "' as x from data"
    lines = [
        cli("inspect", text), cli("inspect", text, "--json"), cli("register", "one", "--name", text),
        cli("ingest", text), cli("ingest", "data.csv", "--sql", query),
        cli("watch", "m@production", "--notify", text, "--log", "x"), cli("list", f"--limit={text}"),
    ]  # fmt: skip
    raising(KeyError(text), monkeypatch)
    lines.append(cli("list", text))
    lines.append(cli("list", "--config", "x.toml", stdin=text.encode()))
    for ended in lines:
        assert CANARY not in ended.out + ended.err
    written = [path for path in work.parent.rglob("*") if path.is_file() and path.suffix in (".json", ".log", "")]
    assert any("manifest.json" in path.name for path in written)
    for path in written:
        assert CANARY not in path.read_text(errors="replace"), path
