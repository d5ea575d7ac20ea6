"""Columns by their exact name, whatever it looks like."""

from __future__ import annotations

import re

import polars as pl


def exactly(name: str) -> pl.Expr:
    """The column of exactly that name: polars takes `^…$` for a pattern, and `*` for all columns."""
    pattern = name == "*" or (name.startswith("^") and name.endswith("$"))
    return pl.col(f"^{re.escape(name)}$" if pattern else name)
