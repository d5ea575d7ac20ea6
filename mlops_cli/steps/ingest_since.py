"""`ingest --since COLUMN`: what was taken before, up to which value, and one run at a time.

The state of a dataset at `-o` is in its manifest, which is put in place together with the data; the file beside it says
the same for people and other programs, and is mended when it does not. Without `-o` it is a file in the workspace that
names the dataset, written after it. Killed between the two, the next run starts from the state before, and takes the
same rows again into the same dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.errors import Busy, InputUnusable, Integrity, Usage
from mlops_cli.sources.asked import Since
from mlops_cli.steps import memo
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Outcome, Verdict
from mlops_cli.store import files, manifest, workspace
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.lock import held
from mlops_cli.store.manifest import Input

_ANEW = "--force starts anew, from all rows of the source; or choose another place with -o"


class State(msgspec.Struct, frozen=True):
    """How far a source was taken: the largest value of a column, and of what; `inputs` are the ids of the sources then.

    `watermark` is the value as JSON has it, dates and times in ISO 8601, decimals as text.
    """

    column: str
    watermark: int | float | str
    taken: dict[str, Any]
    inputs: list[str]


class _Beside(msgspec.Struct, frozen=True):
    """The file beside an output, or in the workspace: the state, and of which dataset."""

    dataset: str
    since: State


class NothingNew(Exception):
    """There are no rows that were not there already."""


@dataclass
class Growth:
    """A dataset that grows: the column, what was taken before (None at first), and what the sources' rows are asked by.

    `reached` is the watermark of the new dataset, known once its rows have been written, and `new` their number;
    `after` is its state.
    """

    column: str
    taken: Mapping[str, Any]
    before: Artefact | None = None
    state: State | None = None
    since: Since | None = None
    reached: int | float | str | None = None
    new: int = 0
    after: State | None = None

    def demand_new(self, inputs: list[Input]) -> None:
        """Raise NothingNew when the sources are known by their content and are what they were."""
        if self.state and all(one.id for one in inputs) and [one.id for one in inputs] == self.state.inputs:
            raise NothingNew

    def params(self, inputs: list[Input]) -> dict[str, Any]:
        """What the manifest says of it."""
        assert self.reached is not None
        self.after = State(self.column, self.reached, dict(self.taken), [one.id for one in inputs])
        return {"since": msgspec.to_builtins(self.after)}

    def lineage(self) -> list[Input]:
        """The dataset before, as an input of the new one."""
        return [Input("dataset", self.before.id, memo.shown(self.before.path))] if self.before else []

    def check(self, made: Artefact) -> None:
        """Refuse, before it is put in place, a dataset whose old part is not what was written then. Integrity."""
        for entry in self.before.manifest.files if self.before else ():
            if made.entry(entry.path) != entry:
                raise Integrity(f"{self.before and self.before.path / entry.path}: the digest does not match", _ANEW)


def refuse_to_replace(ctx: Context, out: str | None) -> None:
    """InputUnusable when a dataset that has grown by --since would be replaced; --force forgets how far it was."""
    there = workspace.replaceable(Path(out), "dataset") if out else None
    state = _stated(there) if there else None
    if out is None or state is None:
        return
    if not ctx.force:
        hint = f"--since {state.column} adds to it; --force replaces it with what the source has now"
        raise InputUnusable(
            f"{out} has grown by --since {state.column}, and may hold what its source has no more", hint
        )
    _beside(ctx, state.column, state.taken, Path(out)).unlink(missing_ok=True)


@contextmanager
def growing(ctx: Context, column: str, taken: Mapping[str, Any], out: str | None) -> Iterator[Growth]:
    """What was taken before of this source by this column, while nobody else takes it.

    Errors: Busy when another run does; InputUnusable when what lies at `out` was taken in another way.
    """
    path = Path(out) if out else None
    beside = _beside(ctx, column, taken, path)
    with held(
        beside.with_name(f".{beside.name}.lock"), Busy(f"{path or 'this source'} is being added to", "run it again")
    ):
        growth = Growth(column, taken)
        if not ctx.force:
            growth.before, growth.state = _at(path, beside, growth) if path else _kept(ctx, beside)
        if growth.before and growth.state:
            from mlops_cli.steps import ingest_grow

            growth.since = Since(column, ingest_grow.decoded(growth.before, growth.state))
        yield growth


def settled(ctx: Context, growth: Growth, made: Artefact, out: str | None) -> None:
    """Note how far the source has been taken, after the dataset is in its place."""
    path = Path(out) if out else None
    state, stated = growth.after or growth.state, _stated(made)
    if path and stated and _same(stated, growth):
        state = stated  # the manifest is the truth
    assert state is not None
    beside = _beside(ctx, growth.column, growth.taken, path)
    data = msgspec.json.format(msgspec.json.encode(_Beside(made.id, state)), indent=1) + b"\n"
    if not (beside.is_file() and beside.read_bytes() == data):
        files.replace(beside, data)


def unchanged(growth: Growth) -> Outcome:
    """What is told when there was nothing new: the dataset before, as it was."""
    assert growth.before is not None and growth.state is not None
    line = f"no new rows since {growth.state.watermark}"
    return Outcome(memo.shown(growth.before.path), growth.before, Verdict(lines=(line,)))


def _beside(ctx: Context, column: str, taken: Mapping[str, Any], path: Path | None) -> Path:
    """The file that says how far a source was taken."""
    if path is None:
        key = manifest.sha256(manifest.canonical([column, taken])).partition(":")[2]
        return ctx.workspace.since(key)
    if path.name in ("", ".."):
        raise Usage(f"-o {path}: a directory that one stands in cannot be replaced", "give the new directory a name")
    return path.with_name(f"{path.name}.since.json")


def _at(path: Path, beside: Path, growth: Growth) -> tuple[Artefact | None, State | None]:
    """The dataset at `-o`, and how far it goes."""
    there = workspace.replaceable(path, "dataset")
    if there is None:
        return None, None
    stated = _stated(there)
    if stated is None or not _same(stated, growth):
        noted = _read(beside)  # a dataset of the same bytes may have been there before, made in another way
        stated = noted.since if noted and noted.dataset == there.id and _same(noted.since, growth) else stated
    if stated is None:
        raise InputUnusable(f"{path} was not taken with --since: how far it goes is not known", _ANEW)
    if stated.column != growth.column:
        raise InputUnusable(f"{path} was taken with --since {stated.column}, not {growth.column}", _ANEW)
    differ = [name for name, value in growth.taken.items() if stated.taken.get(name) != value]
    if differ:
        was, now = stated.taken.get(differ[0]), growth.taken[differ[0]]
        raise InputUnusable(f"{path} was taken with another {differ[0]}: {_words(was)}, not {_words(now)}", _ANEW)
    return there, stated


def _kept(ctx: Context, beside: Path) -> tuple[Artefact | None, State | None]:
    """The dataset that the workspace has, and how far it goes."""
    noted = _read(beside)
    found = ctx.workspace.find(noted.dataset) if noted else None
    if noted and found is None:
        ctx.note("what was taken before is no longer in the workspace: starting anew")
    return (found, noted.since) if noted and found else (None, None)


def _same(state: State, growth: Growth) -> bool:
    """Whether a state is of the same source, taken the same way."""
    return state.column == growth.column and state.taken == dict(growth.taken)


def _stated(made: Artefact) -> State | None:
    """What a manifest says of how far its source was taken."""
    since = made.manifest.params.get("since")
    return _convert(since) if since is not None else None


def _convert(since: Any) -> State | None:
    """A state as it was written; None for what is none."""
    try:
        return msgspec.convert(since, State)
    except msgspec.ValidationError:
        return None


def _read(beside: Path) -> _Beside | None:
    """What the file says; None when there is none, or when it is damaged: it only repeats."""
    try:
        return msgspec.json.decode(beside.read_bytes(), type=_Beside)
    except (OSError, *manifest.UNREADABLE):
        return None


def _words(value: Any) -> str:
    """A value in a message."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)[:80] if value else "none"
