"""How many rows may be rejected: `--max-bad`."""

from __future__ import annotations

import re

import msgspec

from mlops_cli.errors import Usage


class Limit(msgspec.Struct, frozen=True):
    """How many rows may be rejected: a share of the rows, or a number of them."""

    text: str
    share: float | None = None
    rows: int = 0

    @classmethod
    def parse(cls, text: str) -> Limit:
        """`0.01` and `1%` are shares, `20` is a number of rows; Usage for anything else."""
        given = text.strip()
        if re.fullmatch(r"\d+", given):
            return cls(given, rows=int(given))
        if re.fullmatch(r"\d+(\.\d+)?%", given) and float(given[:-1]) <= 100:
            return cls(given, share=float(given[:-1]) / 100)
        if re.fullmatch(r"0?\.\d+", given):
            return cls(given, share=float(given))
        raise Usage(
            f"--max-bad {text!r} is no share of the rows and no number of them",
            "0.01 or 1% is one row in a hundred, 20 is twenty rows",
        )

    def allows(self, rejected: int, rows: int) -> bool:
        """Whether no more of `rows` were rejected than may be."""
        return rejected <= (self.rows if self.share is None else self.share * rows)

    def judged(self, rejected: int, rows: int) -> str:
        """`, within --max-bad 1%`; nothing when none was rejected."""
        return f", {'within' if self.allows(rejected, rows) else 'more than'} --max-bad {self.text}" if rejected else ""
