"""Take images in: every one that can be read is a row with its label, its measurements, its time and its camera."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlops_cli.errors import EmptyInput, Missing, MissingExtra, Usage
from mlops_cli.steps import ingest_files, ingest_origins, ingest_remote, memo
from mlops_cli.steps.context import Context
from mlops_cli.steps.ingest_origins import Named, Origin
from mlops_cli.steps.limit import Limit
from mlops_cli.steps.memo import Contents, Job, Outcome, Output, Verdict
from mlops_cli.steps.selection import Selection
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.manifest import Input

if TYPE_CHECKING:
    from fractions import Fraction

    from mlops_cli.steps.ingest_shape import Shaped

LIBRARIES = ("av", "numpy", "obstore", "pillow", "polars", "polars-runtime-32", "pyarrow")
FILE = "images.json"
MOST_BAD = "1%"
TOLD = 5


class Report(msgspec.Struct, frozen=True):
    """What there was, `images.json` in the payload: images in = rows out + rejected, before rows were selected.
    `labels` and `reasons` count the first hundred kinds of each."""

    images: int
    rows: int
    rejected: int
    unlabelled: int
    untimed: int
    labels: dict[str, int]
    reasons: dict[str, int]
    format: int = 1


@dataclass(frozen=True)
class Options:
    """`label`: `directory`, `none`, a file, or None for what is there; `camera`: `name`, `directory`, `none`, `=NAME`,
    or None for what is there; `fps`: frames a second of a video; `max_bad` as in `validate`."""

    label: str | None = None
    camera: str | None = None
    fps: str | None = None
    max_bad: str | None = None

    @property
    def sidecar(self) -> str | None:
        """The file of `--label`, if it is one."""
        return None if self.label in (None, "directory", "none") else self.label

    @property
    def rate(self) -> Fraction:
        """Frames a second; Usage for what is none."""
        text = (self.fps or "1").strip()
        if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?(/[1-9]\d{0,5})?", text) or not (rate := _fraction(text)):
            raise Usage(
                f"--fps {text!r} is no number of frames a second", "--fps 2, or --fps 0.1 for one in ten seconds"
            )
        if rate > 1000:
            raise Usage(f"--fps {text} is more than 1000")
        return rate

    def check(self) -> None:
        """Refuse what makes no sense, before anything is read. Usage; Missing for a file that is not there."""
        _ = self.rate
        Limit.parse(self.max_bad or MOST_BAD)
        camera = self.camera
        if camera is not None and camera not in ("name", "directory", "none") and not re.fullmatch(r"=.+", camera):
            raise Usage(f"--camera {camera!r} is no rule", "name, directory, none, or =NORTH for the camera NORTH")
        if self.sidecar and not Path(self.sidecar).is_file():
            hint = "--label directory, --label none, or a CSV or NDJSON file with the columns path and label"
            raise Missing(f"--label {self.sidecar}: there is no such file", hint)

    def refuse(self, reject: str | None) -> None:
        """Usage when anything is asked for that only images have."""
        given = {"--label": self.label, "--camera": self.camera, "--fps": self.fps, "--reject": reject}
        for flag, value in (given | {"--max-bad": self.max_bad}).items():
            if value is not None:
                raise Usage(f"{flag} goes with images, and these are none", "mlops validate checks rows of a table")


def _fraction(text: str) -> Fraction:
    """`2`, `0.5` or `30000/1001`."""
    from fractions import Fraction  # brings decimal, which a table need not pay for

    above, _, below = text.partition("/")
    return Fraction(above) / Fraction(below or 1)


def run(
    ctx: Context, named: Sequence[Named], options: Options, selection: Selection, output: Output, *, keyed: bool = True
) -> Outcome:
    """Make a dataset of images; the verdict is a finding (1) when more of them are rejected than `max_bad` allows.

    Errors: those of the sources (Missing, Corrupt, Outside), MissingExtra, EmptyInput, SchemaMismatch for a sidecar.
    """
    options.check()
    limit = Limit.parse(options.max_bad or MOST_BAD)
    origins = ingest_origins.origins(ctx, named, options.rate)
    sidecar = _sidecar(ctx, options)
    inputs = [one for origin in origins for one in origin.inputs] + sidecar
    keys = [origin.key for origin in origins]
    params = _params(options, selection)
    key = None if None in keys or not keyed else [keys, [one.id for one in sidecar], params]

    def build(payload: Path, rejects: Path) -> Contents:
        shaped, report = _build(ctx, origins, options, selection, payload, rejects)
        (payload / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        known = {**params, "rows": shaped.written.rows} | ({"dropped": shaped.dropped} if selection.dedupe else {})
        refused = Contents("dataset", inputs, params | {"rejected": True})
        return Contents("dataset", inputs, known, schema=dict(shaped.written.schema), rejects=refused)

    def judge(made: Artefact) -> Verdict:
        return _verdict(made.json(FILE, Report), limit)

    outcome = memo.perform(ctx, Job("ingest", key, LIBRARIES, build, judge, measured), output)
    if outcome.measured["rejected"] and outcome.rejects and output.reject is None:
        told = f"the rejected images are in {memo.shown(outcome.rejects.path)}"
        return msgspec.structs.replace(outcome, notes=(told,))
    return outcome


def _sidecar(ctx: Context, options: Options) -> list[Input]:
    """The file of `--label` as an input."""
    if options.sidecar is None:
        return []
    return [Input("file", f"sha256:{ctx.workspace.digest(Path(options.sidecar))}", options.sidecar)]


def _build(
    ctx: Context, origins: Sequence[Origin], options: Options, selection: Selection, payload: Path, rejects: Path
) -> tuple[Shaped, Report]:
    """The table, and what there was; what is selected is written from the whole table."""
    try:
        from mlops_cli.steps import ingest_image_build, ingest_image_select
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mlops_cli"):
            raise
        raise MissingExtra.of("Pillow" if error.name == "PIL" else error.name or "a library", "images") from None
    with ingest_files.scratch() as scratch:
        most = selection.limit if selection.sql is None and not selection.dedupe else None
        narrowed = selection.shapes
        whole = payload.parent / "whole" if narrowed else payload
        whole.mkdir(exist_ok=True)
        report = ingest_image_build.build(ctx, origins, options, most, whole, rejects, scratch)
        if not report.images:
            raise EmptyInput(f"{origins[0].inputs[0].ref}: there are no images")
        shaped = ingest_image_select.select(whole, selection if narrowed else None, scratch, payload)
    if narrowed and not shaped.written.rows:
        raise EmptyInput("the selection leaves no rows")
    return shaped, report


def _verdict(report: Report, limit: Limit) -> Verdict:
    """A pass (0), or a finding (1) when more images were rejected than `limit` allows, or all of them."""
    passed = limit.allows(report.rejected, report.images) and report.rows > 0
    total = f"{report.images:,} images in = {report.rows:,} rows + {report.rejected:,} rejected"
    lines = [total + limit.judged(report.rejected, report.images)]
    reasons = sorted(report.reasons.items(), key=lambda one: (-one[1], one[0]))
    lines += [f"rejected: {number:,} × {reason}" for reason, number in reasons[:TOLD]]
    kinds = f"{len(report.labels):,} label{'' if len(report.labels) == 1 else 's'}" if report.labels else "no labels"
    for number, lack in ((report.unlabelled if report.labels else 0, "a label"), (report.untimed, "a time")):
        kinds += f", {number:,} without {lack}" if number else ""
    details = {"passed": passed, "limit": limit.text, "rejected": report.rejected, "rows": report.images}
    return Verdict(0 if passed else 1, (*lines, kinds), details)


def measured(made: Artefact) -> dict[str, Any]:
    """The numbers of a dataset of images."""
    report = made.json(FILE, Report)
    sources = [{"ref": source.ref, "id": source.id} for source in made.manifest.inputs]
    schema = made.manifest.schema
    counted = msgspec.to_builtins(report) | {"rows": made.manifest.params.get("rows", report.rows)}
    return {**counted, "columns": len(schema), "schema": schema, "files": sources}


def _params(options: Options, selection: Selection) -> dict[str, Any]:
    """What decides the result besides the images."""
    label = "file" if options.sidecar else options.label
    rate = str(options.rate)
    return {"format": ingest_remote.FORMAT, "label": label, "camera": options.camera, "fps": rate, **selection.params}
