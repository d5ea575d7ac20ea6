"""From the body of a request to the body of its answer: read, predict, write, and what is to be logged of it."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Any

from mlops_cli.runtime import rows
from mlops_cli.runtime.log import Lines
from mlops_cli.runtime.predictors import Predictor
from mlops_cli.runtime.protocols.base import Head, Refused, Request, Wire, refused
from mlops_cli.runtime.signature import Label, Signature

Answers = list[dict[str, Any]]


@dataclass(slots=True)
class Scored:
    """An answer: its body, the id it goes under, how many rows got which class, and lines for the log."""

    body: bytes
    request_id: str
    counts: dict[Label, int]
    lines: bytearray | None


class Scorer:
    """A model ready to answer; safe to call from several threads."""

    def __init__(self, predictor: Predictor, lines: Lines | None, key: str | None, max_rows: int) -> None:
        self._predictor = predictor
        self.signature: Signature = predictor.signature
        self._lines = lines
        self._key = key
        self._key_is_input = any(key == column.name for column in predictor.signature.accepted)
        self._max_rows = max_rows
        self._labelled = predictor.signature.classes is not None
        self._images = frozenset(column.name for column in predictor.signature.columns if column.type == "image")

    @property
    def has_images(self) -> bool:
        """Whether rows have images, which take long to decode."""
        return bool(self._images)

    def score(self, wire: Wire, body: bytes, head: Head, request_id: str, started: float) -> Scored:
        """Answer one request, begun at `started` by perf_counter; Refused when it does not fit the model."""
        request = wire.read(body, head)
        answers = self.answers(request)
        request_id = request.id or request_id
        lines = self.lines(request, answers, request_id, started)  # takes from the answers what is for the log alone
        return Scored(wire.write(request, answers, request_id), request_id, self.counts(answers), lines)

    def answers(self, request: Request) -> Answers:
        """One answer a row; Refused when a row does not fit the signature. Takes the key out of the rows."""
        if request.n > self._max_rows:
            raise Refused(413, f"{request.n} rows are more than one request may have, {self._max_rows}")
        if self._key is not None:
            request.take_key(self._key, keep=self._key_is_input)
        try:
            if request.rows is not None:
                return self._predictor.answer(request.rows)
            batch = rows.batch_from_columns(self.signature, request.columns or {})
            return rows.answers(self.signature, self._predictor.predict(batch))
        except rows.RequestError as error:
            raise refused(error) from None

    def counts(self, answers: Answers) -> dict[Label, int]:
        """How many rows got which class; none for a regression."""
        if not self._labelled:
            return {}
        if len(answers) == 1:
            return {answers[0]["prediction"]: 1}
        return Counter(answer["prediction"] for answer in answers)

    def lines(self, request: Request, answers: Answers, request_id: str, started: float) -> bytearray | None:
        """What the prediction log is to hold of a request, None without a log; what was measured leaves the answers."""
        measured = [answer.pop("measured", None) for answer in answers] if self._images else None
        if self._lines is None:
            return None
        ms = round((perf_counter() - started) * 1000, 3)
        rows = request.as_rows()
        if measured is not None:
            rows = [self._noted(row, found) for row, found in zip(rows, measured, strict=True)]
        return self._lines.encode(request_id, rows, request.keys, answers, ms)

    def _noted(self, row: Mapping[str, Any], measured: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the log has of a row with an image: all but the image, and what was measured of it."""
        kept = {name: value for name, value in row.items() if name not in self._images}
        kept.update(measured or {})
        return kept


def request_ids() -> Callable[[], str]:
    """Ids that no other process makes: a random part of this process and a number that counts up."""
    prefix = secrets.token_hex(8)
    numbers: Iterator[int] = count(1)
    return lambda: f"{prefix}-{next(numbers):08x}"
