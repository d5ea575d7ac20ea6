"""From the body of a request to the body of its answer: read, predict, write, and what is to be logged of it."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Any

from mlops_cli.runtime import rows
from mlops_cli.runtime.columns import Batch
from mlops_cli.runtime.log import Lines
from mlops_cli.runtime.predictors import Predictor
from mlops_cli.runtime.protocols.base import Head, Refused, Request, Wire, refused
from mlops_cli.runtime.rules import Guard
from mlops_cli.runtime.signature import Label, Signature

Answers = list[dict[str, Any]]
Broken = list[list[str]]
"""For each row the labels of the rules that it breaks."""


@dataclass(slots=True)
class Scored:
    """An answer: its body, the id it goes under, how many rows got which class, lines for the log, and how many rows
    break which rule."""

    body: bytes
    request_id: str
    counts: dict[Label, int]
    lines: bytearray | None
    broken: Mapping[str, int]


class Scorer:
    """A model ready to answer; safe to call from several threads."""

    def __init__(
        self, predictor: Predictor, lines: Lines | None, key: str | None, max_rows: int, guard: Guard | None
    ) -> None:
        self._predictor = predictor
        self.guard = guard
        self.signature: Signature = predictor.signature
        self._lines = lines
        self._key = key
        self._key_is_input = any(key == column.name for column in predictor.signature.accepted)
        self._max_rows = max_rows
        self._labelled = predictor.signature.classes is not None
        self._images = frozenset(column.name for column in predictor.signature.columns if column.type == "image")

    @property
    def rules(self) -> list[str]:
        """The labels of the rules that rows are held against."""
        return [] if self.guard is None else self.guard.labels

    @property
    def has_images(self) -> bool:
        """Whether rows have images, which take long to decode."""
        return bool(self._images)

    def score(self, wire: Wire, body: bytes, head: Head, request_id: str, started: float) -> Scored:
        """Answer one request, begun at `started` by perf_counter; Refused when it does not fit the model."""
        request = wire.read(body, head)
        answers, broken = self.answers(request)
        request_id = request.id or request_id
        lines = self.lines(request, answers, broken, request_id, started)  # takes out what is for the log alone
        body = wire.write(request, answers, request_id)
        return Scored(body, request_id, self.counts(answers), lines, _tally(broken))

    def answers(self, request: Request) -> tuple[Answers, Broken | None]:
        """One answer a row, and the rules it breaks, None without rules; takes the key out of the rows.

        Refused when a row does not fit the signature, or breaks a rule and such rows are to be rejected.
        """
        if request.n > self._max_rows:
            raise Refused(413, f"{request.n} rows are more than one request may have, {self._max_rows}")
        if self._key is not None:
            request.take_key(self._key, keep=self._key_is_input)
        try:
            if self.guard is None:
                return self._plain(request), None
            if request.n == 1 or self._images:
                answers = self._plain(request)
                return answers, self._checked(self.guard, self._single(self.guard, request.as_rows(), answers))
            batch = self._batch(request)
            broken = self._checked(self.guard, self.guard.batch(batch))
            return rows.answers(self.signature, self._predictor.predict(batch)), broken
        except rows.RequestError as error:
            raise refused(error) from None

    def _plain(self, request: Request) -> Answers:
        """The answers, without a look at rules; RequestError."""
        if request.rows is not None:
            return self._predictor.answer(request.rows)
        return rows.answers(self.signature, self._predictor.predict(self._batch(request)))

    def _batch(self, request: Request) -> Batch:
        """The rows of a request as a batch; RequestError."""
        if request.rows is not None:
            return rows.batch_from_rows(self.signature, request.rows)
        return rows.batch_from_columns(self.signature, request.columns or {})

    def _single(self, guard: Guard, given: Sequence[Mapping[str, Any]], answers: Answers) -> Broken:
        """The rules that rows break which have been answered, what was measured of their images among them."""
        if not self._images:
            return [guard.row(row) for row in given]
        return [guard.row({**row, **answer.get("measured", {})}) for row, answer in zip(given, answers, strict=True)]

    def _checked(self, guard: Guard, broken: Broken) -> Broken:
        """The same; Refused (400) when a row breaks a rule that rejects it."""
        if guard.reject and any(broken):
            bad = [(row, [label for label in labels if label in guard.errors]) for row, labels in enumerate(broken)]
            bad = [(row, labels) for row, labels in bad if labels]
            if bad:
                row, labels = bad[0]
                more = f" (and {len(bad) - 1} more rows break rules)" if len(bad) > 1 else ""
                raise Refused(400, f"row {row}: breaks a rule{more}: {'; '.join(labels)}", _tally(broken))
        return broken

    def counts(self, answers: Answers) -> dict[Label, int]:
        """How many rows got which class; none for a regression."""
        if not self._labelled:
            return {}
        if len(answers) == 1:
            return {answers[0]["prediction"]: 1}
        return Counter(answer["prediction"] for answer in answers)

    def lines(
        self, request: Request, answers: Answers, broken: Broken | None, request_id: str, started: float
    ) -> bytearray | None:
        """What the prediction log is to hold of a request, None without a log; what was measured leaves the answers."""
        measured = [answer.pop("measured", None) for answer in answers] if self._images else None
        if self._lines is None:
            return None
        ms = round((perf_counter() - started) * 1000, 3)
        rows = request.as_rows()
        if measured is not None:
            rows = [self._noted(row, found) for row, found in zip(rows, measured, strict=True)]
        return self._lines.encode(request_id, rows, request.keys, answers, ms, broken)

    def _noted(self, row: Mapping[str, Any], measured: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the log has of a row with an image: all but the image, and what was measured of it."""
        kept = {name: value for name, value in row.items() if name not in self._images}
        kept.update(measured or {})
        return kept


def _tally(broken: Broken | None) -> Mapping[str, int]:
    """How many rows break which rule."""
    if broken is None or not any(broken):
        return {}
    return Counter(label for labels in broken for label in labels)


def request_ids() -> Callable[[], str]:
    """Ids that no other process makes: a random part of this process and a number that counts up."""
    prefix = secrets.token_hex(8)
    numbers: Iterator[int] = count(1)
    return lambda: f"{prefix}-{next(numbers):08x}"
