"""What a server is told: one struct, and how sizes, durations and tokens are written on a command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlops_cli.errors import InputUnusable, UnknownColumn, Usage
from mlops_cli.runtime import log, rules
from mlops_cli.runtime.signature import Signature

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True)
class Settings:
    """One server: the model directory, the name and version it answers to, where it listens, what it logs.

    `version` None: the model comes from no registry. `tokens` empty: everyone may ask. `key` is a column that
    identifies a row in the log and need not be one of the model's. Sizes are in bytes. `context` are columns that
    every row on standard input has without sending them, as text. `rules`: what becomes of rows that break the model's.
    """

    directory: Path
    name: str
    version: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    threads: int = 1
    log: log.Options | None = None
    key: str | None = None
    tokens: tuple[bytes, ...] = ()
    max_body: int = 16_000_000
    max_rows: int = 100_000
    drain_seconds: float = 2.0
    context: Mapping[str, str] = field(default_factory=dict)
    rules: str = "warn"

    def __post_init__(self) -> None:
        """Usage for a number that makes no sense."""
        if self.rules not in rules.MODES:
            raise Usage(f"--rules {self.rules!r} is unknown", f"there is: {', '.join(rules.MODES)}")
        if not 0 <= self.port <= 65_535:
            raise Usage(f"--port {self.port} is not between 0 and 65535")
        for flag, number in (("workers", self.workers), ("max-body", self.max_body), ("max-rows", self.max_rows)):
            if number < 1:
                raise Usage(f"--{flag} must be at least 1, not {number}")
        if not 0 <= self.drain_seconds <= 3600:
            raise Usage(f"--drain-seconds {self.drain_seconds} is not between 0 and 3600")

    def fit(self, signature: Signature) -> None:
        """UnknownColumn when the log is to keep or redact a column that no request can have."""
        logged = [column.name for column in signature.logged]
        known = {*logged, *signature.aside, self.key}
        kept, redacted = (self.log.columns or (), self.log.redacted) if self.log is not None else ((), ())
        for name in (*kept, *redacted):
            if name not in known:
                have = ", ".join(logged)
                raise UnknownColumn(f"the log cannot have column {name!r}: the model has none", f"it has {have}")


@dataclass(frozen=True)
class Flags:
    """What a command line says, as written: the flags that `mlops serve` and `python -m mlops_cli.runtime` share."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    log: str | None = None
    key: str | None = None
    log_columns: str | None = None
    log_redact: str | None = None
    retain: str | None = None
    token_file: str | None = None
    max_body: str = "16MB"
    max_rows: int = 100_000
    drain_seconds: float = 2.0
    context: str | None = None
    rules: str = "warn"

    def settings(self, directory: Path, name: str, version: str | None) -> Settings:
        """The settings for one model; Usage for what makes no sense."""
        if not self.log and (self.log_columns or self.log_redact or self.retain):
            raise Usage("--log-columns, --log-redact and --retain need --log")
        kept = None
        if self.log:
            oldest = None if self.retain is None else days(self.retain)
            kept = log.Options(Path(self.log), names(self.log_columns), names(self.log_redact) or (), oldest)
        return Settings(
            directory=directory,
            name=name,
            version=version,
            host=self.host,
            port=self.port,
            workers=self.workers,
            threads=max(1, (os.cpu_count() or 1) // max(1, self.workers)),
            log=kept,
            key=self.key,
            tokens=tokens(Path(self.token_file)) if self.token_file else (),
            max_body=size(self.max_body),
            max_rows=self.max_rows,
            drain_seconds=self.drain_seconds,
            context=constants(self.context),
            rules=self.rules,
        )


def size(text: str) -> int:
    """Bytes of `16MB`, `512KiB` or `1000`; Usage for anything else."""
    found = re.fullmatch(r"(\d+)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise Usage(f"{text!r} is not a size", "write it like 16MB or 512KiB")
    return int(found[1]) * _UNITS[found[2]]


def seconds(text: str) -> float:
    """Seconds of `10s`, `2m` or `0.5s`; Usage for anything else."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*([sm])", text.strip().lower())
    if found is None or not float(found[1]):
        raise Usage(f"{text!r} is not a time", "write it like 10s or 2m")
    return float(found[1]) * (60 if found[2] == "m" else 1)


def days(text: str) -> int:
    """Days of `30d` or `4w`; Usage for anything else."""
    found = re.fullmatch(r"(\d{1,6})\s*([dw])", text.strip().lower())
    if found is None:
        raise Usage(f"{text!r} is not a number of days", "write it like 30d or 4w")
    return int(found[1]) * (7 if found[2] == "w" else 1)


def names(text: str | None) -> tuple[str, ...] | None:
    """The names in `a,b`; None for None."""
    return None if text is None else tuple(part for part in (part.strip() for part in text.split(",")) if part)


def constants(text: str | None) -> dict[str, str]:
    """The columns and values in `camera=north,lane=2`; Usage for anything else."""
    found = {}
    for part in names(text) or ():
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise Usage(f"--context {part!r} is no column and value", "write it like camera=north")
        found[name.strip()] = value.strip()
    return found


def tokens(path: Path) -> tuple[bytes, ...]:
    """The tokens in a file, one a line (two while one replaces the other); InputUnusable when there is none."""
    try:
        lines = path.read_bytes().split()
    except OSError as error:
        raise InputUnusable(f"the token file {path} cannot be read: {error.strerror}") from None
    if not lines:
        raise InputUnusable(f"the token file {path} is empty", "put one token on a line")
    return tuple(lines)
