"""How a source is to be read, as far as it is not the same for all of them; nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_cli.errors import Usage


@dataclass(frozen=True, slots=True)
class Since:
    """Only rows whose `column` is at or after `value`, or null, are wanted; those at it are sorted out later.

    `value` is an int, a float, a Decimal, a str (compared byte by byte), a date, or a datetime (UTC or naive)."""

    column: str
    value: object


@dataclass(frozen=True, slots=True)
class Asked:
    """How a source is to be read: `format` of files, `query` of a database, `at` a version of a lake table.

    `texts` are columns whose text is wanted as it is written, whatever it looks like: CSV reads no numbers there.
    `since` is a hint: a source may leave out the rows before it, whoever asked looks again.
    """

    format: str | None = None
    query: str | None = None
    at: str | None = None
    since: Since | None = None
    texts: tuple[str, ...] = ()

    def refuse_version(self) -> None:
        """Usage when a version is asked for of what has none."""
        if self.at is not None:
            raise Usage(f"--at {self.at}: only Delta and Iceberg tables have versions", "leave --at out")
