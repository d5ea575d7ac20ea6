"""`certificate.json`: how the rows were placed, how many each part has, and what the parts know of each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from mlops_cli.metrics.shares import wilson
from mlops_cli.steps.memo import Verdict
from mlops_cli.steps.split_folds import Folds
from mlops_cli.steps.split_leaks import Leaks
from mlops_cli.steps.split_near import Alike, Neighbours
from mlops_cli.steps.split_predictors import Predictors
from mlops_cli.steps.split_target import Target
from mlops_cli.store.artefact import Artefact

FILE = "certificate.json"


class Part(msgspec.Struct, omit_defaults=True):
    """One part; `share` is of all rows, with Wilson's 95 % interval; `strata` its rows per value of --stratify."""

    rows: int
    share: float
    strata: list[dict[str, Any]] | None = None
    low: float | None = None
    high: float | None = None


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
    near_duplicates: Alike | UnsetType = UNSET  # of tables of images, and with --near
    neighbours: Neighbours | UnsetType = UNSET  # of tables of images with times, and with --time in groups
    target: Target | UnsetType = UNSET  # where --target or --stratify names it
    predictors: Predictors | UnsetType = UNSET  # the same
    folds: Folds | UnsetType = UNSET  # with --folds
    format: int = 1

    @property
    def leaking(self) -> list[str]:
        """What should not be, for people."""
        alone = [] if self.predictors is UNSET else self.predictors.lines()
        return [*self.leaks.lines(), *(line for one in self._kin for line in one.lines() if one.apart), *alone]

    @property
    def kindred(self) -> list[str]:
        """What train knows of the other parts without breaking what was asked for, for people."""
        return [*self.leaks.kindred(), *(line for one in self._kin for line in one.lines() if not one.apart)]

    @property
    def differing(self) -> list[str]:
        """How the target differs between the parts, for people."""
        return [] if self.target is UNSET else self.target.lines()

    @property
    def _kin(self) -> list[Alike | Neighbours]:
        return [one for one in (self.near_duplicates, self.neighbours) if one is not UNSET]

    def write(self, directory: Path) -> None:
        """Write `certificate.json` into a payload."""
        (directory / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def part(rows: int, total: int, strata: list[dict[str, Any]] | None = None) -> Part:
    """A part of so many of all rows."""
    low, high = (float(f"{end:.9g}") for end in wilson(rows, total))
    return Part(rows, rows / total, strata, low, high)


def judge(made: Artefact) -> Verdict:
    """A finding (1) when the parts know of each other."""
    found = made.json(FILE, Certificate)
    named = " + ".join(f"{part.rows:,} {name}" for name, part in found.parts.items())
    alike = found.near_duplicates
    out = {"embargoed": found.embargoed, "left out as near-duplicates": 0 if alike is UNSET else alike.left_out}
    named += "".join(f" + {rows:,} {why}" for why, rows in out.items() if rows)
    total = sum(part.rows for part in found.parts.values()) + sum(out.values())
    lines = [f"{total:,} rows in = {named}"]
    if found.cut_offs:
        lines.append(_cut_offs(found.cut_offs))
    if alike is not UNSET and alike.clusters:
        one = alike.clusters == 1
        how = (
            f"1 cluster of near-duplicates, of {alike.largest:,} rows, is"
            if one
            else (f"{alike.clusters:,} clusters of near-duplicates, the largest of {alike.largest:,} rows, are each")
        )
        lines.append(f"{how} in one part")
    if found.folds is not UNSET:
        sizes = ", ".join(f"{fold.valid:,}" for fold in found.folds.folds)
        lines.append(f"{len(found.folds.folds)} folds of train, which measure on {sizes} rows")
    lines += [f"leak: {line}" for line in found.leaking] + found.kindred + found.differing
    if found.leaks.copies:
        lines += found.leaks.copies.lines()
    details = {"clean": found.clean, "leaks": found.leaks}
    return Verdict(0 if found.clean else 1, tuple(lines), details)


def _cut_offs(cut_offs: dict[str, Any]) -> str:
    """Where the parts begin, in one line."""
    if "group" not in cut_offs:
        cuts = ", ".join(f"{name} from {cut_offs[name]}" for name in ("valid", "test"))
        return f"cut-offs in {cut_offs['column']}: {cuts}"
    short = cut_offs["groups_in_train"]
    told = f"cut-offs in {cut_offs['column']}: for each {cut_offs['group']} its own, {len(cut_offs['groups'])} in all"
    return told + (f"; {short} more with too few times are train" if short else "")


def measured(made: Artefact) -> dict[str, Any]:
    """The numbers for `--json`."""
    found = made.json(FILE, Certificate)
    told = {"method": found.method, "parts": found.parts, "cut_offs": found.cut_offs, "embargoed": found.embargoed}
    more = {name: getattr(found, name) for name in ("near_duplicates", "neighbours", "target", "predictors", "folds")}
    return told | {name: one for name, one in more.items() if one is not UNSET}
