"""Work that is not done twice: look its key up, else build, seal, judge, and put the artefact where it belongs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli import interrupts, logs
from mlops_cli.errors import Usage
from mlops_cli.steps import environment
from mlops_cli.steps.context import Context
from mlops_cli.store import artefact, files, workspace
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.manifest import Input

_FILES = (".parquet", ".csv", ".tsv", ".json", ".ndjson", ".arrow", ".feather")
_MAKES = {"ingest": "dataset", "validate": "dataset", "split": "split", "train": "model", "evaluate": "evaluation"}
"""What lies at `-o` may be replaced by; known before the work is done for commands that may take long."""


class Contents(msgspec.Struct, frozen=True):
    """What the payload that was built is; `rejects` says the same of the rejected rows, when there are any."""

    kind: str
    inputs: list[Input]
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    seed: int | None = None
    schema: dict[str, Any] | None = None
    rejects: Contents | None = None
    notes: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """0 pass, 1 finding, 3 inconclusive; `lines` tell people why; `details` goes into `--json`."""

    exit: int = 0
    lines: tuple[str, ...] = ()
    details: object = None


class Job(msgspec.Struct, frozen=True):
    """Something to make. `key` holds all that decides the result besides code and `libraries`; None always runs.

    `build(payload, rejects)` writes into two empty directories. `judge` is asked on a hit too; `measured` gives the
    numbers for `--json`.
    """

    command: str
    key: object | None
    libraries: tuple[str, ...]
    build: Callable[[Path, Path], Contents]
    judge: Callable[[Artefact], Verdict] | None = None
    measured: Callable[[Artefact], dict[str, Any]] | None = None


class Output(msgspec.Struct, frozen=True):
    """Where the artefact and the rejected rows go; without `out` into the workspace."""

    out: str | None = None
    reject: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What a step has done. `ref` is what is printed; `exit` what the command ends with."""

    ref: str
    artefact: Artefact | None = None
    verdict: Verdict = Verdict()
    cached: bool = False
    measured: dict[str, Any] = msgspec.field(default_factory=dict)
    rejects: Artefact | None = None
    notes: tuple[str, ...] = ()

    @property
    def exit(self) -> int:
        """The exit code."""
        return self.verdict.exit


def perform(ctx: Context, job: Job, output: Output) -> Outcome:
    """Do a job, or find that it has been done; its artefact ends at `-o` only when the verdict is a pass."""
    out = Path(output.out) if output.out else None
    if out:
        _check_free(out, job.command)
    files.check_writable(out.parent if out else ctx.workspace.root)
    if output.reject:
        files.check_writable(Path(output.reject).parent)
    key = key_of(job)
    known = ctx.workspace.recall(key) if key and not ctx.force else None
    if known is None:
        return _build(ctx, job, output, out, key)
    made, rejects = known
    verdict = job.judge(made) if job.judge else Verdict()
    made = ctx.workspace.provide(made, out if verdict.exit == 0 else None)
    _give_rejects(ctx, rejects, output.reject)
    return _outcome(job, made, rejects, verdict, cached=True)


def _build(ctx: Context, job: Job, output: Output, out: Path | None, key: str | None) -> Outcome:
    """Build the payload in staging, seal it, judge it, and move it to its place."""
    with ctx.workspace.staging(out) as stage:
        payload, refuse = stage / "payload", stage / "rejects"
        payload.mkdir()
        refuse.mkdir()
        contents = job.build(payload, refuse)
        interrupts.check()
        sealed = _seal(ctx, job, payload, contents)
        rejects = None
        if contents.rejects:
            rejects = ctx.workspace.place(_seal(ctx, job, refuse, contents.rejects), None)
        verdict = job.judge(sealed) if job.judge else Verdict()
        made = ctx.workspace.place(sealed, out if verdict.exit == 0 else None)
    if key:
        ctx.workspace.remember(key, made, rejects)
    _give_rejects(ctx, rejects, output.reject)
    for line in contents.notes:
        ctx.note(line)
    return _outcome(job, made, rejects, verdict, cached=False)


def _outcome(job: Job, made: Artefact, rejects: Artefact | None, verdict: Verdict, *, cached: bool) -> Outcome:
    """What is told of a finished job."""
    measured = job.measured(made) if job.measured else {}
    return Outcome(shown(made.path), made, verdict, cached, measured, rejects)


def _seal(ctx: Context, job: Job, directory: Path, contents: Contents) -> Artefact:
    """Write the manifest of a payload."""
    return artefact.seal(
        directory,
        kind=contents.kind,
        created=environment.created(),
        tool=environment.tool(),
        command=list(ctx.command),
        inputs=[msgspec.structs.replace(source, ref=logs.redact(source.ref)) for source in contents.inputs],
        params=logs.redact_within(contents.params),
        seed=contents.seed,
        schema=contents.schema or {},
        environment=environment.describe(job.libraries),
    )


def key_of(job: Job) -> str | None:
    """The digest of everything that decides a job's result; None when it cannot be keyed."""
    return None if job.key is None else _key(job)


def _key(job: Job) -> str:
    """The digest of everything that decides a job's result, as `json` writes it: NaN, infinity and null differ."""
    parts = {
        "command": job.command,
        "key": job.key,
        "tool": environment.tool(),
        "libraries": environment.versions(job.libraries),
    }
    import json

    plain = msgspec.to_builtins(parts, str_keys=True, order="sorted")
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _check_free(out: Path, command: str) -> None:
    """Refuse a target that is something else, before any work is done."""
    if out.name in ("", ".."):
        raise Usage(f"-o {out}: a directory that one stands in cannot be replaced", "give the new directory a name")
    workspace.replaceable(out, _MAKES.get(command))
    if out.suffix in _FILES and not out.exists():
        hint = f"-o {out.with_suffix('')}: its tables are *.parquet in there; or stream one with -o - > FILE.arrow"
        raise Usage(f"-o {out}: what is written is a directory, and that is called like a file", hint)


def _give_rejects(ctx: Context, rejects: Artefact | None, target: str | None) -> None:
    """Copy the rejected rows to `--reject`: as one Parquet file when it is called so, else as an artefact."""
    if rejects is None or target is None:
        return
    path = Path(target)
    if path.suffix != ".parquet":
        ctx.workspace.provide(rejects, path)
        return
    source = rejects.tables()[0]
    if path.is_file() and files.digest(path) == rejects.entry(source.name).sha256:
        return
    with files.staging_directory(path.parent, path.name) as stage:
        shutil.copyfile(source, stage / "copy")
        files.fsync_file(stage / "copy")
        (stage / "copy").replace(path)
        files.fsync_dir(path.parent)


def shown(path: Path) -> str:
    """A path as it is printed: relative when it is below the current directory."""
    full = path.absolute()
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)
