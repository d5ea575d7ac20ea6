"""Columns that are named and are not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mlops_cli.errors import UnknownColumn, listed


def unknown(flag: str, name: str, there: Iterable[str]) -> UnknownColumn:
    """The error for a column that is not there, with the one that may have been meant."""
    return UnknownColumn(f"{flag}: there is no column {name!r}", near(name, there))


def near(name: str, there: Iterable[str]) -> str:
    """The column that may have been meant, or those that there are."""
    names = list(there)
    found = difflib.get_close_matches(name, names, 1)
    return f"did you mean {found[0]}?" if found else f"there are: {listed(names, 30)}"
