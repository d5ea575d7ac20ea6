"""Rows or image files in on stdin, answers out on stdout as NDJSON: the model stays loaded, and no port is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import BinaryIO

import msgspec

from mlops_cli.errors import Stopped, Usage
from mlops_cli.runtime import frames, predictors, rules
from mlops_cli.runtime.log import Lines, PredictionLog
from mlops_cli.runtime.messages import Say
from mlops_cli.runtime.protocols.base import Refused, Request, Row, converter, decoded
from mlops_cli.runtime.scoring import Answers, Scorer, request_ids
from mlops_cli.runtime.settings import Settings
from mlops_cli.runtime.signature import Signature

_CHUNK = 1 << 16
_STOP = re.compile(rb"mlops:stop:(\d{1,3}):([a-z-]+)\s*")
Read = Callable[[bytes], Row]


def run(settings: Settings, source: BinaryIO, sink: BinaryIO, say: Say) -> int:
    """Answer every line, or every frame, with a line, in order, until the input ends; then 0.

    One that cannot be answered gets `{"error": …}` in its place. What has come is answered at once, so a
    partner that waits for each answer is not kept waiting. BrokenPipeError when nobody reads any more.
    """
    predictor = predictors.load(settings.directory, settings.threads)
    settings.fit(predictor.signature)
    lines = log = None
    if settings.log is not None:
        lines = Lines(settings.log, settings.name, settings.version)
        log = PredictionLog(settings.log, lambda lost: None, say)
    guard = rules.guard(settings.directory, predictor.signature, settings.rules)
    scorer = Scorer(predictor, lines, settings.key, settings.max_rows, guard)
    new_id = request_ids()
    encode = msgspec.json.Encoder().encode_lines
    refused = total = 0
    try:
        for batch, read in _batches(source, predictor.signature, settings):
            answers, logged = _answers(scorer, batch, read, new_id())
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


def _batches(source: BinaryIO, signature: Signature, settings: Settings) -> Iterator[tuple[list[bytes], Read]]:
    """What has come together, and how to read a row of it: frames when the first byte is that of a length."""
    image = next((column.name for column in signature.columns if column.type == "image"), None)
    context = _context(signature, settings)
    chunks = iter(lambda: os.read(source.fileno(), _CHUNK), b"")
    first = next(chunks, b"")
    chunks = chain([first], chunks)
    if image is not None and frames.begins(first):
        for found in frames.split(chunks, settings.max_body):
            yield found, lambda frame: context | {image: frames.content(frame, settings.max_body)}
        return
    files = image if image is not None and "path" not in {column.name for column in signature.accepted} else None
    for lines in _lines(chunks, settings.max_rows):
        yield lines, lambda line: context | _row(line, files, settings.max_body)


def _lines(chunks: Iterator[bytes], most: int) -> Iterator[list[bytes]]:
    """Whole lines, as many as have come together; a last one without line break too. Blank lines are left out."""
    rest = b""
    first = True
    for chunk in chunks:
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


def _answers(scorer: Scorer, given: list[bytes], read: Read, request_id: str) -> tuple[Answers, bytearray]:
    """The answers to lines or frames, together when all are well, else each on its own; and what is to be logged."""
    started = perf_counter()
    try:
        request = Request(len(given), rows=[read(one) for one in given])
        answers, broken = scorer.answers(request)
        # Before they are written: it takes out what is for the log alone.
        return answers, scorer.lines(request, answers, broken, request_id, started) or bytearray()
    except Refused as error:
        if len(given) == 1:
            message = re.sub(r"^row 0: ", "", error.message)
            return [{"error": message}], bytearray()
    answers, logged = [], bytearray()
    for number, one in enumerate(given):
        answer, entry = _answers(scorer, [one], read, f"{request_id}.{number}")
        answers += answer
        logged += entry
    return answers, logged


def _row(line: bytes, image: str | None, most: int) -> Row:
    """One row; of a model of images `path` may name a file in the place of its bytes."""
    row = decoded(msgspec.json.decode, line)
    if type(row) is not dict:
        raise Refused(400, "a row must be an object {column: value}")
    if image is not None and type(row.get("path")) is str and image not in row:
        row[image] = _file(row.pop("path"), most)
    return row


def _file(name: str, most: int) -> bytes:
    """The bytes of a file that the user of this process names; Refused."""
    try:
        with Path(name).open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise Refused(400, f"{name!r:.200} cannot be read: {getattr(error, 'strerror', error)}") from None
    if len(data) > most:
        raise Refused(413, f"{name!r:.200} is larger than {most} bytes")
    return data


def _context(signature: Signature, settings: Settings) -> Row:
    """The columns that every row has without sending them; Usage for one that the model does not know."""
    known = {column.name: column for column in signature.accepted if column.type != "image"}
    for name in settings.context:
        if name not in known:
            raise Usage(f"--context {name}: the model takes no such column", f"it takes {', '.join(known) or 'none'}")
    return {name: converter(known[name])(text) for name, text in settings.context.items()}
