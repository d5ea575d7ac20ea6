"""What `/metrics` tells: counters in memory that all workers share, in Prometheus' text format 0.0.4."""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from mlops_cli.runtime.signature import Label

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
PROTOCOLS = ("v2", "mlflow", "predict", "other")
CODES = (200, 400, 401, 404, 405, 413, 415, 500, 503)
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MOST_CLASSES = 100  # a class beyond these is counted as "other": a label must not grow without bound
_MOST_RULES = 100  # and so is a rule
_IN_PROGRESS, _SUM, _LOG_ERRORS, _FIRST_BUCKET = 0, 1, 2, 3
_FIRST_REQUEST = _FIRST_BUCKET + len(BUCKETS) + 1
_FIRST_CLASS = _FIRST_REQUEST + len(PROTOCOLS) * (len(CODES) + 1)
_FIRST_BROKEN = _FIRST_CLASS + _MOST_CLASSES + 1
_FIRST_REJECTED = _FIRST_BROKEN + _MOST_RULES + 1
_SLOTS = _FIRST_REJECTED + _MOST_RULES + 1
_REQUEST = {
    (protocol, code): _FIRST_REQUEST + p * (len(CODES) + 1) + c
    for p, protocol in enumerate(PROTOCOLS)
    for c, code in enumerate((*CODES, 0))
}


class Shared:
    """Memory for the counters of several workers, made before they are forked; a row of numbers for each."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        # Anonymous shared memory, zeroed; nothing is left on disk whatever happens.
        self._memory = memoryview(mmap.mmap(-1, workers * _SLOTS * 8)).cast("d")

    def row(self, worker: int) -> memoryview[float]:
        """The numbers of one worker; only it writes to them. A worker that is started again counts on."""
        row = self._memory[worker * _SLOTS : (worker + 1) * _SLOTS]
        row[_IN_PROGRESS] = 0.0
        return row

    def gone(self, worker: int) -> None:
        """A worker is dead: what it had in progress is no more."""
        self._memory[worker * _SLOTS + _IN_PROGRESS] = 0.0

    def totals(self) -> list[float]:
        """The sums over all workers."""
        numbers = self._memory.tolist()
        return [sum(numbers[slot::_SLOTS]) for slot in range(_SLOTS)]


class Metrics:
    """The counters of one worker; `text` tells the sum over all."""

    def __init__(
        self,
        shared: Shared,
        worker: int,
        about: Mapping[str, str],
        classes: Sequence[Label] | None,
        rules: Sequence[str] = (),
    ) -> None:
        """`about` are the labels model, version and digest; `rules` what is counted of rows that break them."""
        self._shared = shared
        self._row = shared.row(worker)
        self._name(about, classes, rules)

    def take(self, about: Mapping[str, str], classes: Sequence[Label] | None, rules: Sequence[str] = ()) -> None:
        """Another version answers from now on: what is counted for it begins at 0, but for what is in progress."""
        for slot in (_SUM, *range(_FIRST_BUCKET, _SLOTS)):
            self._row[slot] = 0.0
        self._name(about, classes, rules)

    def _name(self, about: Mapping[str, str], classes: Sequence[Label] | None, rules: Sequence[str]) -> None:
        self._about = dict(about)
        self._classes = list(classes or ())
        self._slots = {label: _FIRST_CLASS + min(i, _MOST_CLASSES) for i, label in enumerate(self._classes)}
        self._rules = {label: min(i, _MOST_RULES) for i, label in enumerate(rules)}

    def begin(self) -> None:
        """A request to predict has come."""
        self._row[_IN_PROGRESS] += 1.0

    def end(self, protocol: str, code: int, seconds: float) -> None:
        """It has been answered."""
        row = self._row
        row[_IN_PROGRESS] -= 1.0
        row[_FIRST_BUCKET + bisect_left(BUCKETS, seconds)] += 1.0
        row[_SUM] += seconds
        row[_REQUEST.get((protocol, code)) or _REQUEST[protocol, 0]] += 1.0

    def left(self) -> None:
        """Its client has gone before it could be answered."""
        self._row[_IN_PROGRESS] -= 1.0

    def other(self, code: int) -> None:
        """A request that is none to predict has been answered."""
        self._row[_REQUEST.get(("other", code)) or _REQUEST["other", 0]] += 1.0

    def predicted(self, label: Label, rows: int = 1) -> None:
        """Rows have been given this class."""
        slot = self._slots.get(label)
        if slot is not None:
            self._row[slot] += rows

    def broke(self, rules: Mapping[str, int], rejected: bool = False) -> None:
        """Rows break these rules, or were not answered because they do."""
        for label, rows in rules.items():
            self._row[_FIRST_BROKEN + self._rules[label]] += rows
            if rejected:
                self._row[_FIRST_REJECTED + self._rules[label]] += rows

    def log_lost(self, lines: int) -> None:
        """Lines of the prediction log could not be written."""
        self._row[_LOG_ERRORS] += lines

    def text(self) -> bytes:
        """All metrics, summed over the workers."""
        return ("\n".join(self._lines(self._shared.totals())) + "\n").encode()

    def _lines(self, totals: list[float]) -> Iterator[str]:
        about = self._about
        model = {"model": about["model"], "version": about["version"]}
        yield from _head("mlops_model_info", "gauge", "The model that is served.")
        yield f"mlops_model_info{_labels(about)} 1"
        yield from _head("mlops_requests_total", "counter", "Requests answered, by protocol and HTTP status.")
        for (protocol, code), slot in _REQUEST.items():
            if totals[slot] or (code == 200 and protocol != "other"):
                labels = model | {"protocol": protocol, "code": str(code or "other")}
                yield f"mlops_requests_total{_labels(labels)} {totals[slot]:.0f}"
        yield from _head("mlops_request_duration_seconds", "histogram", "From a request's headers to its answer.")
        running = 0.0
        for index, bound in enumerate((*BUCKETS, float("inf"))):
            running += totals[_FIRST_BUCKET + index]
            edge = "+Inf" if bound == float("inf") else repr(bound)
            yield f'mlops_request_duration_seconds_bucket{{le="{edge}"}} {running:.0f}'
        yield f"mlops_request_duration_seconds_sum {totals[_SUM]!r}"
        yield f"mlops_request_duration_seconds_count {running:.0f}"
        yield from _head("mlops_requests_in_progress", "gauge", "Requests to predict that are being handled.")
        yield f"mlops_requests_in_progress {totals[_IN_PROGRESS]:.0f}"
        if self._classes:
            yield from _head("mlops_prediction_total", "counter", "Rows answered, by predicted class.")
            for label in self._classes[:_MOST_CLASSES]:
                yield f"mlops_prediction_total{_labels({'class': _shown(label)})} {totals[self._slots[label]]:.0f}"
            if len(self._classes) > _MOST_CLASSES:
                rest = totals[_FIRST_CLASS + _MOST_CLASSES]
                yield f"mlops_prediction_total{_labels({'class': 'other'})} {rest:.0f}"
        if self._rules:
            yield from self._told(
                "mlops_broken_rows_total", "Rows that break a rule of the data.", _FIRST_BROKEN, totals
            )
            told = "Rows that were not answered because they or others of their request break a rule."
            yield from self._told("mlops_rejected_rows_total", told, _FIRST_REJECTED, totals)
        yield from _head("mlops_log_errors_total", "counter", "Lines of the prediction log that were lost.")
        yield f"mlops_log_errors_total {totals[_LOG_ERRORS]:.0f}"

    def _told(self, name: str, about: str, first: int, totals: list[float]) -> Iterator[str]:
        """A counter by rule."""
        yield from _head(name, "counter", about)
        for label, number in self._rules.items():
            if number < _MOST_RULES:
                yield f"{name}{_labels({'rule': label})} {totals[first + number]:.0f}"
        if len(self._rules) > _MOST_RULES:
            yield f'{name}{{rule="other"}} {totals[first + _MOST_RULES]:.0f}'


def _head(name: str, kind: str, help_text: str) -> tuple[str, str]:
    return f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _shown(label: Label) -> str:
    """A class as JSON writes it."""
    return ("true" if label else "false") if isinstance(label, bool) else str(label)
