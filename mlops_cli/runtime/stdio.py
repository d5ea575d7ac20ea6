"""Rows in on stdin, answers out on stdout, NDJSON both: the model stays loaded, and no port is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from time import perf_counter
from typing import Any, BinaryIO

import msgspec

from mlops_cli.errors import Stopped
from mlops_cli.runtime import predictors
from mlops_cli.runtime.log import Lines, PredictionLog
from mlops_cli.runtime.messages import Say
from mlops_cli.runtime.protocols.base import Refused, Request, decoded
from mlops_cli.runtime.scoring import Answers, Scorer, request_ids
from mlops_cli.runtime.settings import Settings

_CHUNK = 1 << 16
_STOP = re.compile(rb"mlops:stop:(\d{1,3}):([a-z-]+)\s*")


def run(settings: Settings, source: BinaryIO, sink: BinaryIO, say: Say) -> int:
    """Answer every line with a line, in order, until the input ends; then 0.

    A line that cannot be answered gets `{"error": …}` in its place. What has come is answered at once, so a
    partner that waits for each answer is not kept waiting. BrokenPipeError when nobody reads any more.
    """
    predictor = predictors.load(settings.directory, settings.threads)
    settings.fit(predictor.signature)
    lines = log = None
    if settings.log is not None:
        lines = Lines(settings.log, settings.name, settings.version)
        log = PredictionLog(settings.log, lambda lost: None, say)
    scorer = Scorer(predictor, lines, settings.key, settings.max_rows)
    new_id = request_ids()
    encode = msgspec.json.Encoder().encode_lines
    refused = total = 0
    try:
        for batch in _batches(source, settings.max_rows):
            answers, logged = _answers(scorer, batch, new_id())
            sink.write(encode(answers))
            sink.flush()
            total += len(answers)
            refused += sum("error" in answer for answer in answers)
            if log is not None:
                log.append(logged)
    finally:
        if log is not None:
            log.close()
    say(f"{total - refused} rows answered, {refused} refused")
    return 0


def _batches(source: BinaryIO, most: int) -> Iterator[list[bytes]]:
    """Whole lines, as many as have come together; a last one without line break too. Blank lines are left out."""
    rest = b""
    first = True
    while chunk := os.read(source.fileno(), _CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        if first and lines:
            first = False
            if stop := _STOP.fullmatch(lines[0]):
                raise Stopped(int(stop[1]), stop[2].decode())
        lines = [line for line in lines if line.strip()]
        for start in range(0, len(lines), most):
            yield lines[start : start + most]
    if rest.strip():
        yield [rest]


def _answers(scorer: Scorer, lines: list[bytes], request_id: str) -> tuple[Answers, bytearray]:
    """The answers to lines, together when all are well, else each on its own; and what is to be logged."""
    started = perf_counter()
    try:
        request = Request(len(lines), rows=[_row(line) for line in lines])
        answers = scorer.answers(request)
        return answers, scorer.lines(request, answers, request_id, started) or bytearray()
    except Refused as error:
        if len(lines) == 1:
            message = re.sub(r"^row 0: ", "", error.message)
            return [{"error": message}], bytearray()
    answers, logged = [], bytearray()
    for number, line in enumerate(lines):
        one, entry = _answers(scorer, [line], f"{request_id}.{number}")
        answers += one
        logged += entry
    return answers, logged


def _row(line: bytes) -> dict[str, Any]:
    row = decoded(msgspec.json.decode, line)
    if type(row) is not dict:
        raise Refused(400, "a row must be an object {column: value}")
    return row
