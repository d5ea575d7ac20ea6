"""`mlops.toml`: defaults for flags, below the command line and the environment."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from mlops_cli.errors import InputUnusable, Missing

NAME = "mlops.toml"


class Config:
    """Flags for all commands (`[mlops]`), and for one command (a table of its name)."""

    def __init__(self, path: Path | None, tables: dict[str, dict[str, Any]]) -> None:
        self.path, self.tables = path, tables

    def defaults(self, command: str, known: Collection[str], commands: Collection[str]) -> dict[str, Any]:
        """The defaults for a command that has the parameters `known`; an unknown key is an error."""
        for table in self.tables:
            if table != "mlops" and table not in commands:
                raise self._unknown(f"table [{table}]", table, [*commands, "mlops"])
        own = {key.replace("-", "_"): value for key, value in self.tables.get(command, {}).items()}
        for key in own:
            if key not in known:
                raise self._unknown(f"key {key!r} in [{command}]", key, known)
        shared = {key.replace("-", "_"): value for key, value in self.tables.get("mlops", {}).items()}
        return {key: value for key, value in shared.items() if key in known} | own

    def _unknown(self, what: str, word: str, known: Collection[str]) -> InputUnusable:
        """The error for a key that nothing reads."""
        import difflib

        near = difflib.get_close_matches(word, known, 1)
        return InputUnusable(f"{self.path}: unknown {what}", f"did you mean {near[0]}?" if near else "remove it")


def load(path: str | None) -> Config:
    """The configuration at `path`, else the nearest `mlops.toml` upward, else an empty one."""
    found = Path(path) if path else _nearest()
    if found is None:
        return Config(None, {})
    import tomllib

    try:
        tables = tomllib.loads(found.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise Missing(f"{found}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputUnusable(f"{found}: {error}", "see docs/configuration.md") from None
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise InputUnusable(f"{found}: {name!r} stands outside a table", f"write it below [mlops] or [{name}]")
    return Config(found, tables)


def _nearest() -> Path | None:
    """The nearest `mlops.toml` upward from the current directory."""
    here = Path.cwd()
    return next((folder / NAME for folder in (here, *here.parents) if (folder / NAME).is_file()), None)
