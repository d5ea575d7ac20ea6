"""Read, measure and label images, in order, decoded in several threads; what cannot be read is set aside."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mlops_cli.sources import image_names
from mlops_cli.sources.image_files import Collection, Entry
from mlops_cli.sources.image_row import Measured, Refused, measure
from mlops_cli.steps import ingest_labels, parts, processors
from mlops_cli.steps.context import Context
from mlops_cli.steps.ingest_image_table import SCHEMA, Images, Rejects
from mlops_cli.steps.ingest_images import Options, Report
from mlops_cli.steps.ingest_labels import Sidecar
from mlops_cli.steps.ingest_origins import Origin

_CHUNK, _CHUNK_BYTES = 16, 8 << 20
_WAITING = 16
"""Threads that read from a network."""
_KINDS = 100
"""More different labels or reasons than these are not counted one by one."""


def build(
    ctx: Context,
    origins: Sequence[Origin],
    options: Options,
    most: int | None,
    payload: Path,
    rejects: Path,
    scratch: Path,
) -> Report:
    """Write the images into `payload`, at most `most` of them, and what is none into `rejects`; what there was."""
    with ExitStack() as stack:
        collections = []
        for number, origin in enumerate(origins):
            own = scratch / f"source-{number}"
            own.mkdir()
            collections.append(stack.enter_context(origin.opened(own)))
        work = _Work(ctx, collections, options, _sidecar(ctx, collections, options, scratch))
        extras = work.sidecar.extras if work.sidecar else None
        with Images(payload, extras) as images, Rejects(rejects / parts.name(0)) as refused:
            work.write(images, refused, most)
    return work.report()


def _sidecar(ctx: Context, collections: Sequence[Collection], options: Options, scratch: Path) -> Sidecar | None:
    """What is said beside the images: by the file of `--label`, or by files among them."""
    if options.sidecar:
        return ingest_labels.given(ctx, Path(options.sidecar), scratch, SCHEMA.names)
    return ingest_labels.beside(ctx, collections, scratch, SCHEMA.names) if options.label is None else None


@dataclass(frozen=True)
class _Task:
    """An image and where it belongs."""

    number: int
    entry: Entry


class _Work:
    """One reading of all collections."""

    def __init__(
        self, ctx: Context, collections: Sequence[Collection], options: Options, sidecar: Sidecar | None
    ) -> None:
        self.ctx, self.collections, self.options, self.sidecar = ctx, collections, options, sidecar
        beside = options.sidecar is not None or (sidecar is not None and sidecar.label is not None)
        self._by_directory = options.label != "none" and not beside
        self.labels: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.said: set[int] = set()
        self.images = self.rows = self.unlabelled = self.untimed = 0

    def write(self, images: Images, rejects: Rejects, most: int | None) -> None:
        """Write every image to where it belongs, until there are `most` rows."""
        total = sum(len(collection.entries) for collection in self.collections)
        done = 0
        remote = any(collection.remote for collection in self.collections)
        tasks = (_Task(n, entry) for n, one in enumerate(self.collections) for entry in one.entries)
        for task, found in _measured(tasks, _WAITING if remote else processors.count()):
            if self.rows == most:
                break
            self.images += 1
            done += not task.entry.frame
            path = self._path(task)
            if isinstance(found, Refused):
                rejects.add(path, found)
                _count(self.reasons, found.reason)
            else:
                self._add(images, path, task, found)
            if self.images % 256 == 0:
                self.ctx.progress("reading images", done, total)
        self._tell()

    def _path(self, task: _Task) -> str:
        """What an image is called; below the name of its source when there are several. Always text."""
        below = task.entry.path.encode(errors="replace").decode()
        return below if len(self.collections) == 1 else f"{self.collections[task.number].name}/{below}"

    def _add(self, images: Images, path: str, task: _Task, found: Measured) -> None:
        """A row, with its label, time and camera."""
        collection, entry = self.collections[task.number], task.entry
        sidecar = self.sidecar
        row = sidecar.row(task.number, collection, entry) if sidecar else 0
        self.said.add(row)
        label = self._label(collection, entry) if self._by_directory else None
        if sidecar and sidecar.label:
            label = sidecar.label[row]
        named, before = image_names.told(entry.file)
        time = next((one for one in (found.time, entry.time, named) if one is not None), None)
        if time is None and sidecar and sidecar.time:
            time = sidecar.time[row]
        camera = sidecar.camera[row] if sidecar and sidecar.camera else None
        images.add(path, label, time, camera or self._camera(entry, before), found, row)
        self.rows += 1
        self.untimed += time is None
        if label is None:
            self.unlabelled += 1
        else:
            _count(self.labels, label)

    def _label(self, collection: Collection, entry: Entry) -> str | None:
        """The name of the directory that an image lies in."""
        parent = image_names.parent(entry.file)
        if parent is None and self.options.label == "directory":
            return collection.wrapper or collection.name or None
        return parent

    def _camera(self, entry: Entry, before: str) -> str | None:
        """What `--camera` says; else the name before the time, or the directory above that of the label."""
        rule = self.options.camera
        if rule is not None and rule.startswith("="):
            return rule[1:]
        if rule == "directory":
            return image_names.parent(entry.file, 2 if self._by_directory else 1)
        if rule is None and not before and self._by_directory:
            return image_names.parent(entry.file, 2)
        return None if rule == "none" else before or None

    def _tell(self) -> None:
        """What people want to know that the report does not say."""
        ignored = sum(collection.ignored for collection in self.collections)
        if ignored:
            self.ctx.note(f"{ignored:,} other file{'' if ignored == 1 else 's'} ignored: named like no image")
        if self.sidecar:
            named = set(self.sidecar.rows.values())
            unused = len(named - self.said)
            lacking = " and some images are not in it" if self.said - named else ""
            if unused or lacking:
                self.ctx.note(f"{self.sidecar.name}: {unused:,} of {len(named):,} rows are of no image here{lacking}")

    def report(self) -> Report:
        """What there was."""
        labels, reasons = dict(sorted(self.labels.items())), dict(sorted(self.reasons.items()))
        return Report(self.images, self.rows, self.images - self.rows, self.unlabelled, self.untimed, labels, reasons)


def _count(counter: Counter[str], key: str) -> None:
    """Count, unless there are too many kinds already."""
    if key in counter or len(counter) < _KINDS:
        counter[key] += 1


def _measured(tasks: Iterable[_Task], threads: int) -> Iterator[tuple[_Task, Measured | Refused]]:
    """Every image and what it is, in order, a few of them ahead in as many threads."""
    waiting: deque[Future[list[tuple[_Task, Measured | Refused]]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for chunk in _chunks(_each(tasks)):
            waiting.append(pool.submit(_measure, chunk))
            if len(waiting) > 2 * threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _each(tasks: Iterable[_Task]) -> Iterator[_Task]:
    """Images, and the frames of videos in their place."""
    for task in tasks:
        if task.entry.frames is None:
            yield task
        else:
            yield from (_Task(task.number, frame) for frame in task.entry.frames())


def _chunks(tasks: Iterator[_Task]) -> Iterator[list[_Task]]:
    """Tasks by the handful, fewer of them where they are large."""
    chunk: list[_Task] = []
    size = 0
    for task in tasks:
        chunk.append(task)
        size += task.entry.size
        if len(chunk) == _CHUNK or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _measure(chunk: list[_Task]) -> list[tuple[_Task, Measured | Refused]]:
    """Measure a handful of images."""
    return [(task, measure(task.entry)) for task in chunk]
