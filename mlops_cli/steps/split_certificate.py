"""`certificate.json`: how the rows were placed, how many each part has, and what the parts know of each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.steps.memo import Verdict
from mlops_cli.steps.split_leaks import Leaks
from mlops_cli.store.artefact import Artefact

FILE = "certificate.json"


class Part(msgspec.Struct, omit_defaults=True):
    """One part; `share` is of all rows, `strata` its rows per value of --stratify."""

    rows: int
    share: float
    strata: list[dict[str, Any]] | None = None


class Certificate(msgspec.Struct):
    """The certificate of a split, or of the parts that `--audit` was shown."""

    method: str  # row, key, group, stratify or time; audit for parts made elsewhere
    parts: dict[str, Part]
    leaks: Leaks
    clean: bool
    columns: list[str]  # what decides about a row; what was compared, in an audit
    seed: int | None = None
    encoding: str | None = None
    cut_offs: dict[str, Any] | None = None
    embargoed: int = 0
    format: int = 1

    def write(self, directory: Path) -> None:
        """Write `certificate.json` into a payload."""
        (directory / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def judge(made: Artefact) -> Verdict:
    """A finding (1) when the parts know of each other."""
    found = made.json(FILE, Certificate)
    named = " + ".join(f"{part.rows:,} {name}" for name, part in found.parts.items())
    total = sum(part.rows for part in found.parts.values()) + found.embargoed
    lines = [f"{total:,} rows in = {named}" + (f" + {found.embargoed:,} embargoed" if found.embargoed else "")]
    if found.cut_offs:
        cuts = ", ".join(f"{name} from {found.cut_offs[name]}" for name in ("valid", "test"))
        lines.append(f"cut-offs in {found.cut_offs['column']}: {cuts}")
    lines += [f"leak: {line}" for line in found.leaks.lines()]
    return Verdict(0 if found.clean else 1, tuple(lines), {"clean": found.clean, "leaks": found.leaks})


def measured(made: Artefact) -> dict[str, Any]:
    """The numbers for `--json`."""
    found = made.json(FILE, Certificate)
    return {"method": found.method, "parts": found.parts, "cut_offs": found.cut_offs, "embargoed": found.embargoed}
