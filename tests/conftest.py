"""Fixtures that all tests share: a directory of one's own, the command line in-process, and real shells."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker_engine import docker_base, docker_client  # noqa: F401  # fixtures of the tests marked docker
from postgres import postgresql  # noqa: F401  # a fixture of the tests of databases

from mlops_cli import cli as command_line
from mlops_cli.commands import _pipe

BIN = Path(sys.executable).parent
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the tests start hundreds of commands: compile their modules once


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell does that to what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    raw: bytes = b""

    @property
    def ref(self) -> str:
        """The reference it printed; fails when it did not pass."""
        assert self.code == 0, f"exit {self.code}\n{self.err}"
        return self.out.strip()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory of one's own with its own workspace and registry."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / ".mlops").mkdir()
    for name in list(os.environ):
        if name.startswith("MLOPS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(folder)
    return folder


class _Stream(io.TextIOWrapper):
    """Standard output or input that keeps its bytes."""

    def __init__(self, data: bytes = b"") -> None:
        self.bytes = io.BytesIO(data)
        super().__init__(self.bytes, encoding="utf-8", write_through=True)


@pytest.fixture
def cli(work: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """`cli("split", "x", stdin=b"…")` runs a command in this process and says how it ended; stdout is no pipe here."""

    def run(*arguments: object, stdin: bytes = b"") -> Ended:
        words = [str(argument) for argument in arguments]
        out, err = _Stream(), _Stream()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["mlops", *words])
            patch.setattr(sys, "stdin", _Stream(stdin))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr(_pipe._Stdout, "state", "clean")
            code = command_line.run(words)
        raw = out.bytes.getvalue()
        return Ended(code, raw.decode(errors="replace"), err.bytes.getvalue().decode(), raw)

    return run


@pytest.fixture
def shell(work: Path) -> Callable[..., Ended]:
    """`shell("mlops … | mlops …")` runs a line in a real bash with pipefail; `mlops` is the one under test."""

    def run(line: str, *, timeout: float = 120, **environment: Any) -> Ended:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
            env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"} | environment,
        )
        return Ended(
            done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), done.stdout
        )

    return run


@pytest.fixture(autouse=True)
def _terminal_is_quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No colours from whatever runs the tests."""
    monkeypatch.setenv("NO_COLOR", "1")
    yield
