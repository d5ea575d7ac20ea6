"""A real PostgreSQL: one for a session, in a temporary directory, on a free port of 127.0.0.1, stopped by its pid."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "s3kr+et%2Fx"
"""As a URL has it."""

_USERS = ("postgres", "nobody")


def _programs() -> Path | None:
    """Where initdb and postgres are: Debian keeps them out of the path."""
    found = shutil.which("initdb")
    places = [str(Path(found).resolve().parent)] if found else sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return Path(places[-1]) if places and Path(places[-1], "postgres").is_file() else None


def _as_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: who runs it then."""
    if os.getuid() != 0:
        return {}
    for name in _USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is no user to run it as")


class Server:
    """A server with the databases `postgres` and, for whoever asks, more of them."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder, self._who = programs, folder, _as_user()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        folder.chmod(0o755)
        if self._who:
            os.chown(folder, self._who["user"], self._who["group"])
        secret = folder / "secret"
        secret.write_text("s3kr+et/x\n")
        secret.chmod(0o644)
        words = ["--auth=scram-sha-256", "--pwfile", str(secret), "-U", "postgres", "-E", "UTF8", "--locale=C"]
        done = subprocess.run(
            [programs / "initdb", "-D", folder / "data", "--no-sync", *words],
            capture_output=True,
            cwd=folder,
            check=False,
            **self._who,
        )
        assert done.returncode == 0, done.stderr.decode()
        self.start()

    def url(self, user: str = "postgres", database: str = "postgres") -> str:
        """A URL without a password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def secret_url(self) -> str:
        """A URL with one."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def run(self, *statements: str) -> list[Any]:
        """Run statements; what the last one answers."""
        import adbc_driver_postgresql.dbapi as driver

        with driver.connect(self.secret_url(), autocommit=True) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start, and wait until connections are taken."""
        words = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._who,
            )
        for _ in range(600):
            try:
                self.run("select 1")
                return
            except Exception:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.05)
        raise AssertionError("PostgreSQL takes no connections")

    def stop(self) -> None:
        """Stop at once, connections are cut."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A running server; the tests are skipped without PostgreSQL."""
    pytest.importorskip("adbc_driver_postgresql")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: scripts/system-parts")
    folder = Path(tempfile.mkdtemp(prefix="mlops-postgres-"))
    started = None
    try:
        started = Server(programs, folder)
        yield started
    finally:
        if started:
            started.stop()
        shutil.rmtree(folder, ignore_errors=True)
