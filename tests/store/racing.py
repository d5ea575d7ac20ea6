"""Many processes that do the same thing to one registry at the same time."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any


def race(count: int, work: Callable[..., list[Any]], *arguments: object) -> list[list[Any]]:
    """What `work(number, *arguments)` answers in each of `count` forked processes that start together."""
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(count)
    pipes = [fork.Pipe(duplex=False) for _ in range(count)]
    runners = [
        fork.Process(target=_runner, args=(lambda number=number: work(number, *arguments), barrier, pipe[1]))
        for number, pipe in enumerate(pipes)
    ]
    for runner in runners:
        runner.start()
    answers = []
    for (reader, writer), runner in zip(pipes, runners, strict=True):
        writer.close()
        answers.append(reader.recv())
        runner.join(60)
    failures = [answer for answer in answers if isinstance(answer, str)]
    if failures:
        raise AssertionError(failures[0])
    return answers


def _runner(work: Callable[[], list[Any]], barrier: Barrier, pipe: Any) -> None:
    """One of the processes."""
    try:
        barrier.wait(60)
        pipe.send(work())
    except BaseException:
        pipe.send(traceback.format_exc())
